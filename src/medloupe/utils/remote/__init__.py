"""Files elsewhere: s3://, gs://, az:// and https:// as files and folders of this machine, and back.

`fetch.py` is the way in, `delivery.py` the way out; both take what a person or operator wrote, never what a request, a
model's card or a table says. `shared.py` is object storage for what several servers keep together.
"""
