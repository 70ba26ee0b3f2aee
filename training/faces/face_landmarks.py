"""Numbers of MediaPipe's face landmarks, by the part of the face ("left" is the person's own).

From MediaPipe's own lists of connections (mediapipe/python/solutions/face_mesh_connections.py, Apache-2.0).
"""

from __future__ import annotations

OUTER_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
INNER_LIPS = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
LIPS = (*OUTER_LIPS, *INNER_LIPS)
UPPER_MID_LIP, LOWER_MID_LIP = 13, 14
UPPER_LIP, LOWER_LIP = 12, 15  # in the middle of the red of either lip
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_BROW = (276, 283, 282, 295, 285, 300, 293, 334, 296, 336)
LEFT_CHEEK = (280, 425, 352)
LEFT_NOSTRIL = (358, 327, 278)
CHIN = (152, 199, 200, 18, 175)
NOSE_TIP = 1
