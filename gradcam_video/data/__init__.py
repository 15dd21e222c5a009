"""What goes in: labels, clips from video files and image folders, data sets, ground truth.

`clip.py` is the door: `Clip`, `read_clip`, `read_windows`.
"""
