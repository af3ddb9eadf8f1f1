"""medloupe: from a labelled folder of medical images to an honestly evaluated classifier in one ONNX file.

    data  = medloupe.read("chest_xray/")
    model = medloupe.train(data, name="pneumonia")
    model.predict("scan.png")
    model.save("pneumonia.onnx"); medloupe.load("pneumonia.onnx")

Research software, not a medical device.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
