"""The trained models as a web page, an API and a service that keeps running. app.py puts the parts together."""
