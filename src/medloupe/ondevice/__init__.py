"""Answer in a browser, without a server: an installable web app with the networks, heads and rules of check-ups.

`card.py` hands over what one check-up needs, `runtime.py` finds onnxruntime-web, `release.py` puts all files together,
`folder.py` writes them; the modules in `static/` answer as `inference` and `serving` do.
"""
