"""Photograph pictures as clinics do: from a monitor, a light box, a print, an eyepiece, in many ways and severities."""
