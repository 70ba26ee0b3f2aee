# MSMD keyframes for Maya
# Run it in the Script Editor, or: exec(open(r'PATH', encoding='utf-8').read())
VERSION = 1
NAME = 'script'
FPS = (30000, 1001)
FRAMES = 3
START_FRAME = 10  # 10 is 00:00:00:10
NAMESPACE = 'hero'
BLENDSHAPES = ['blendShape1']
HEAD = 'head_ctrl'
NOTES = '{"name": "script", "fps": "30000/1001", "frames": 3, "rig": "arkit52", "meta": {"line": "gate/guard_001", "style": "angry"}}'
EVERY = list(range(3))
SHAPES = {  # name: (frames, values)
    'eyeBlinkLeft': (EVERY, [0, 1, 0.25]),
    'eyeLookDownLeft': (EVERY, [0, 0, 0]),
    'eyeLookInLeft': (EVERY, [0, 0, 0]),
    'eyeLookOutLeft': (EVERY, [0, 0, 0]),
    'eyeLookUpLeft': (EVERY, [0, 0, 0]),
    'eyeSquintLeft': (EVERY, [0, 0, 0]),
    'eyeWideLeft': (EVERY, [0, 0, 0]),
    'eyeBlinkRight': (EVERY, [0, 0, 0]),
    'eyeLookDownRight': (EVERY, [0, 0, 0]),
    'eyeLookInRight': (EVERY, [0, 0, 0]),
    'eyeLookOutRight': (EVERY, [0, 0, 0]),
    'eyeLookUpRight': (EVERY, [0, 0, 0]),
    'eyeSquintRight': (EVERY, [0, 0, 0]),
    'eyeWideRight': (EVERY, [0, 0, 0]),
    'jawForward': (EVERY, [0, 0, 0]),
    'jawLeft': (EVERY, [0, 0, 0]),
    'jawRight': (EVERY, [0, 0, 0]),
    'jawOpen': (EVERY, [0.1, 0.35, 0.6]),
    'mouthClose': (EVERY, [0, 0, 0]),
    'mouthFunnel': (EVERY, [0, 0, 0]),
    'mouthPucker': (EVERY, [0, 0, 0]),
    'mouthLeft': (EVERY, [0, 0, 0]),
    'mouthRight': (EVERY, [0, 0, 0]),
    'mouthSmileLeft': (EVERY, [0, 0, 0]),
    'mouthSmileRight': (EVERY, [0.00001, 0.00001, 0.00001]),
    'mouthFrownLeft': (EVERY, [0, 0, 0]),
    'mouthFrownRight': (EVERY, [0, 0, 0]),
    'mouthDimpleLeft': (EVERY, [0, 0, 0]),
    'mouthDimpleRight': (EVERY, [0, 0, 0]),
    'mouthStretchLeft': (EVERY, [0, 0, 0]),
    'mouthStretchRight': (EVERY, [0, 0, 0]),
    'mouthRollLower': (EVERY, [0, 0, 0]),
    'mouthRollUpper': (EVERY, [0, 0, 0]),
    'mouthShrugLower': (EVERY, [0, 0, 0]),
    'mouthShrugUpper': (EVERY, [0, 0, 0]),
    'mouthPressLeft': (EVERY, [0, 0, 0]),
    'mouthPressRight': (EVERY, [0, 0, 0]),
    'mouthLowerDownLeft': (EVERY, [0, 0, 0]),
    'mouthLowerDownRight': (EVERY, [0, 0, 0]),
    'mouthUpperUpLeft': (EVERY, [0, 0, 0]),
    'mouthUpperUpRight': (EVERY, [0, 0, 0]),
    'browDownLeft': (EVERY, [0, 0, 0]),
    'browDownRight': (EVERY, [0, 0, 0]),
    'browInnerUp': (EVERY, [0, 0, 0]),
    'browOuterUpLeft': (EVERY, [0, 0, 0]),
    'browOuterUpRight': (EVERY, [0, 0, 0]),
    'cheekPuff': (EVERY, [0, 0, 0]),
    'cheekSquintLeft': (EVERY, [0, 0, 0]),
    'cheekSquintRight': (EVERY, [0, 0, 0]),
    'noseSneerLeft': (EVERY, [0, 0, 0]),
    'noseSneerRight': (EVERY, [0, 0, 0]),
    'tongueOut': (EVERY, [0, 0, 0]),
}
HEAD_ANGLES = (EVERY, [(0, 0, 0), (0.1, -0.2, 0.05), (0.2, -0.4, 0.1)])  # pitch, yaw, roll in radians

try:
    from maya import cmds
    from maya.api import OpenMaya
except ImportError:
    cmds = None  # the data can be used without Maya


def apply(namespace=NAMESPACE, nodes=BLENDSHAPES, head=HEAD, start=START_FRAME):
    """Set the keys. Give other names to use the same motion on another character."""
    prefix = namespace + ":" if namespace and not namespace.endswith(":") else namespace
    numerator, denominator = FPS
    plugs, missing = [], []
    for node in nodes:
        for name in SHAPES:
            plug = prefix + node + "." + name
            if cmds.objExists(plug):
                plugs.append((plug, SHAPES[name]))
            else:
                missing.append(plug)
    if not plugs:
        raise RuntimeError("MSMD: nothing to animate: there is no " + missing[0])

    def seconds(frame):
        return (start + frame) * denominator / float(numerator)

    def key(plug, frames, values):
        # Keys of an earlier take would bend the curve between the new ones.
        ends = [OpenMaya.MTime(seconds(f), OpenMaya.MTime.kSeconds) for f in (-0.25, FRAMES - 0.75)]
        cmds.cutKey(plug, time=tuple(end.asUnits(OpenMaya.MTime.uiUnit()) for end in ends), clear=True)
        for frame, value in zip(frames, values):
            time = repr(seconds(frame)) + "sec"
            cmds.setKeyframe(plug, time=time, value=value, inTangentType="linear", outTangentType="linear")

    for plug, (frames, values) in plugs:
        key(plug, frames, values)
    if head and HEAD_ANGLES:
        turn(prefix + head, key)
    if missing:
        cmds.warning("MSMD: there is no " + ", ".join(missing))
    print("MSMD: %s, %d frames from %s on at %d/%d a second" % (NAME, FRAMES, start, numerator, denominator))


def turn(head, key):
    """Key the head's rotation, in its own rotate order."""
    order = cmds.getAttr(head + ".rotateOrder")
    frames, angles = HEAD_ANGLES
    turned = []
    for pitch, yaw, roll in angles:
        euler = OpenMaya.MEulerRotation(pitch, yaw, roll, OpenMaya.MEulerRotation.kXYZ).reorder(order)
        turned.append(euler.closestSolution(turned[-1]) if turned else euler)
    for axis in "XYZ":
        values = [OpenMaya.MAngle.internalToUI(getattr(euler, axis.lower())) for euler in turned]
        key(head + ".rotate" + axis, frames, values)


if cmds is not None:
    apply()
