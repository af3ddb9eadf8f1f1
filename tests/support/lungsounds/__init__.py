"""A third kind of data, brought from outside: lung sounds of a second, as .wav files.

MEDLOUPE_KINDS=lungsounds brings it. One module for each table: data.py (data/modalities), embed.py (embed/modalities),
serving.py (serving/web/kinds). network.py makes the network, writing.py the files of the tests.
"""
