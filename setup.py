"""What the wheel holds: `msmdcli` alone.

The folders `training`, `export` and `styles` stand beside it in a clone and lie in `msmdcli/_beside` in the wheel
(`msmdcli.paths.BESIDE`), so that nobody's Python gets packages of such common names.
"""

from setuptools import find_packages, setup

BESIDE = "msmdcli._beside"
code = find_packages(include=["training*", "export*"])

setup(
    packages=[*find_packages(include=["msmdcli*"]), *(f"{BESIDE}.{name}" for name in code), f"{BESIDE}.styles"],
    package_dir={f"{BESIDE}.{name}": name for name in ("training", "export", "styles")},
    package_data={
        "msmdcli": ["py.typed", "shipped/**/*", "*/static/**/*", "model/*.onnx", "formats/*.json"],
        f"{BESIDE}.training": ["**/*.yaml"],
        f"{BESIDE}.styles": ["**/*.yaml", "**/*.npz"],
    },
)
