"""The performance around the mouth: what speech does not determine follows the reference's own movement.

A model that is asked for what speech does not tell (where the head turns, when brows rise, where eyes look) answers
with the mean of all that could be, which is next to nothing. The reference shows what this performer does. So
stretches of its head, brows, eyes, cheeks and nose are placed on the new line by the rhythm of its speech:

    reference.py       a style's clips, prepared: blinks apart, the camera taken out, rhythm measured
    rhythm.py          stress, activity and pauses of a mouth and of a sound
    stretches.py       a stretch of the reference on a line, its emphasis on the stressed syllables
    searched.py        a reference as the search sees it, made once
    matching.py        what it costs to go on with a place of the reference (motion matching)
    placing.py         which stretch is performed when: the cheapest
    joins.py           stretches joined to one movement without a step (inertialisation)
    blinks.py          whole blinks of the reference, at its rate
    line.py            a line's performance, planned in seconds, laid on its motion at any frame rate
    interpolation.py   curves between their samples

The mouth (jaw, lips, tongue) stays with speech. Bytes depend on the line's own id, seed, sound, styles and motion.
"""
