"""Attribution: one forward in, the maps of every class out.

The core is read in this order, with `geometry.py` and `explanation.py` before it:

- `gradcam.py`: the mathematics, from a forward to the maps of every class;
- `catch.py`: how the activations are caught in the middle of that forward;
- `api.py`: the door, `explain`: a clip in, an Explanation out.

Around it lie `methods/` (the other methods), `baselines.py` (what a clip shows where something is
removed) and `long_video.py` (windows over a long video).
"""
