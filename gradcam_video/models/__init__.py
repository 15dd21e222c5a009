"""The networks: by name or from a file, inflated in time, and traced to the layer that is read.

`registry.py` is the door (`load_model`); `video_model.py` is what it gives.
"""
