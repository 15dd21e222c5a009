"""Attribution: one forward in, the maps of every class out.

`gradcam.py` is the mathematics, `catch.py` where the network is caught, `methods/` the other
methods, `api.py` the door (`explain`), `long_video.py` windows over a long video.
"""
