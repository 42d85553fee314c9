"""The table of named sizes: networks as published, and small ones for embedded pictures, 32, 28 or 8 pixels a side."""

from typing import Any, NamedTuple

from experiments.zoo.mobilenet import Row


class Size(NamedTuple):
    """A network by name.

    family: its family, a key of `FAMILIES`.
    inputs: the pictures that it is made for, (height, width, channels).
    sizes: fields of the family's module.
    """

    family: str
    inputs: tuple[int, int, int]
    sizes: dict[str, Any]


_PUBLISHED = (224, 224, 3)
_PICTURES_32, _PICTURES_28, _PICTURES_8 = (32, 32, 3), (28, 28, 1), (8, 8, 1)


def _vgg(depths: tuple[int, ...], normalise: bool) -> Size:
    sizes = {"widths": (64, 128, 256, 512, 512), "depths": depths, "dense": (4096, 4096), "dropout": 0.5}
    return Size("vgg", _PUBLISHED, {**sizes, "normalise": normalise, "bias": True})


def _resnet(depths: tuple[int, ...], bottleneck: float = 0.0, groups: int = 1) -> Size:
    """As torchvision has it (version 1.5): the stride sits in the 3x3 convolution."""
    stem = {"stem": 64, "stem_side": 7, "stem_stride": 2, "stem_pool": True, "symmetric": True}
    widths = (256, 512, 1024, 2048) if bottleneck else (64, 128, 256, 512)
    blocks = {"widths": widths, "depths": depths, "strides": (1, 2, 2, 2), "bottleneck": bottleneck, "groups": groups}
    return Size("resnet", _PUBLISHED, {**stem, **blocks})


def _densenet(depths: tuple[int, ...], stem: int = 64, growth: int = 32) -> Size:
    sizes = {"stem": stem, "stem_side": 7, "stem_pool": True, "depths": depths, "growth": growth}
    return Size("densenet", _PUBLISHED, sizes)


def _efficientnet(width: float, depth: float, side: int, dropout: float) -> Size:
    stages = {
        "stem": 32,
        "widths": (16, 24, 40, 80, 112, 192, 320),
        "depths": (1, 2, 2, 3, 3, 4, 1),
        "strides": (1, 2, 2, 2, 1, 2, 1),
        "kernels": (3, 3, 5, 3, 5, 5, 3),
        "expansions": (1, 6, 6, 6, 6, 6, 6),
        "head": 1280,
    }
    scale = {"width_factor": width, "depth_factor": depth, "dropout": dropout, "drop_path": 0.2}
    return Size("efficientnet", (side, side, 3), {**stages, **scale})


def _convnext(depths: tuple[int, ...], widths: tuple[int, ...], drop_path: float) -> Size:
    block = {"kernel": 7, "layer_scale": 1e-6, "approximate": False, "drop_path": drop_path}
    return Size("convnext", _PUBLISHED, {"patch": 4, "widths": widths, "depths": depths, **block})


def _vit(width: int, heads: int, patch: int) -> Size:
    """Regularised as in DeiT (Touvron et al., arXiv 2012.12877), where the tiny and the small one come from."""
    sizes = {"patch": patch, "width": width, "depth": 12, "heads": heads, "expansion": 4}
    return Size("vit", _PUBLISHED, {**sizes, "class_token": True, "approximate": False, "drop_path": 0.1})


_MOBILENET_V3_SMALL = (
    Row(3, 16, 16, excite=True, swish=False, stride=2),
    Row(3, 72, 24, excite=False, swish=False, stride=2),
    Row(3, 88, 24, excite=False, swish=False, stride=1),
    Row(5, 96, 40, excite=True, swish=True, stride=2),
    Row(5, 240, 40, excite=True, swish=True, stride=1),
    Row(5, 240, 40, excite=True, swish=True, stride=1),
    Row(5, 120, 48, excite=True, swish=True, stride=1),
    Row(5, 144, 48, excite=True, swish=True, stride=1),
    Row(5, 288, 96, excite=True, swish=True, stride=2),
    Row(5, 576, 96, excite=True, swish=True, stride=1),
    Row(5, 576, 96, excite=True, swish=True, stride=1),
)

_MOBILENET_V3_LARGE = (
    Row(3, 16, 16, excite=False, swish=False, stride=1),
    Row(3, 64, 24, excite=False, swish=False, stride=2),
    Row(3, 72, 24, excite=False, swish=False, stride=1),
    Row(5, 72, 40, excite=True, swish=False, stride=2),
    Row(5, 120, 40, excite=True, swish=False, stride=1),
    Row(5, 120, 40, excite=True, swish=False, stride=1),
    Row(3, 240, 80, excite=False, swish=True, stride=2),
    Row(3, 200, 80, excite=False, swish=True, stride=1),
    Row(3, 184, 80, excite=False, swish=True, stride=1),
    Row(3, 184, 80, excite=False, swish=True, stride=1),
    Row(3, 480, 112, excite=True, swish=True, stride=1),
    Row(3, 672, 112, excite=True, swish=True, stride=1),
    Row(5, 672, 160, excite=True, swish=True, stride=2),
    Row(5, 960, 160, excite=True, swish=True, stride=1),
    Row(5, 960, 160, excite=True, swish=True, stride=1),
)


def _mobilenet_v3(rows: tuple[Row, ...], head: int, dense: int) -> Size:
    return Size("mobilenet_v3", _PUBLISHED, {"rows": rows, "head": head, "dense": dense, "dropout": 0.2})


def _deeplab(backbone: str, features: dict[str, Any]) -> Size:
    """As torchvision has it, whose weights were trained on pictures of which the shorter side is 520 pixels long."""
    head = {"width": 256, "rates": (12, 24, 36), "dropout": 0.5}
    return Size("deeplab", (520, 520, 3), {"backbone": backbone, "features": features, **head})


#: The last two strides become dilations: features are an eighth of the pictures' size.
_RESNET50_DILATED = {
    **_resnet((3, 4, 6, 3), bottleneck=1 / 4).sizes,
    "strides": (1, 2, 1, 1),
    "dilations": (1, 1, 2, 4),
}

#: The last stride becomes a dilation: features are a sixteenth of the pictures' size.
_MOBILENET_V3_DILATED = {
    "rows": (*_MOBILENET_V3_LARGE[:-3], *(row._replace(stride=1, dilation=2) for row in _MOBILENET_V3_LARGE[-3:])),
    "head": 960,
}


def _segmenters(pictures: tuple[int, int, int], stride: int, depth: int) -> dict[str, Size]:
    """Two segmenters whose features all have one size, the pictures' by the stride: a plain one and a residual one."""
    side = pictures[0]
    plain = {
        "stem_stride": stride,
        "widths": (16, 24),
        "depths": (depth, depth),
        "dilations": (1, 2),
        "pools": 0,
    }
    residual = {
        "stem_stride": stride,
        "widths": (16, 32),
        "depths": (depth, depth),
        "strides": (1, 1),
        "dilations": (1, 2),
    }
    return {
        f"deeplab_vgg_{side}px": Size("deeplab", pictures, {"backbone": "vgg", "features": plain, "width": 16}),
        f"deeplab_resnet_{side}px": Size("deeplab", pictures, {"backbone": "resnet", "features": residual}),
    }


#: Networks for 32x32 colour pictures, one of each family.
_SMALL = {
    "convnext_32px": Size("convnext", _PICTURES_32, {"depths": (2, 2, 2)}),
    "densenet_32px": Size("densenet", _PICTURES_32, {}),
    "efficientnet_32px": Size("efficientnet", _PICTURES_32, {"drop_path": 0.1}),
    "mobilenet_32px": Size("mobilenet", _PICTURES_32, {}),
    "mobilenet_v3_32px": Size("mobilenet_v3", _PICTURES_32, {}),
    "resnet_32px": Size("resnet", _PICTURES_32, {"depths": (2, 2, 3)}),
    "resnext_32px": Size("resnet", _PICTURES_32, {"widths": (32, 64, 128), "bottleneck": 0.5, "groups": 4}),
    "vgg_32px": Size("vgg", _PICTURES_32, {"stem_stride": 2, "widths": (12, 24, 24), "depths": (2, 2, 1)}),
    "vit_32px": Size("vit", _PICTURES_32, {}),
}

_TWO_STAGES = {"stem_stride": 1, "widths": (16, 24), "depths": (1, 2), "strides": (1, 2), "head": 64}

_MOBILENET_V3_TINY = (
    Row(3, 16, 16, excite=True, swish=False, stride=1),
    Row(3, 64, 24, excite=True, swish=True, stride=2),
    Row(3, 72, 24, excite=True, swish=True, stride=1),
)

#: Networks for 8x8 grey pictures, one of each family; they keep the resolution at the stem and halve it once.
_TINY = {
    "convnext_8px": Size("convnext", _PICTURES_8, {"patch": 1, "widths": (16, 32), "depths": (1, 1), "kernel": 3}),
    "densenet_8px": Size("densenet", _PICTURES_8, {"stem_stride": 1, "depths": (2, 2)}),
    "efficientnet_8px": Size("efficientnet", _PICTURES_8, {**_TWO_STAGES, "kernels": (3, 3), "expansions": (1, 4)}),
    "mobilenet_8px": Size("mobilenet", _PICTURES_8, _TWO_STAGES),
    "mobilenet_v3_8px": Size(
        "mobilenet_v3", _PICTURES_8, {"stem_stride": 1, "rows": _MOBILENET_V3_TINY, "head": 72, "dense": 64}
    ),
    "resnet_8px": Size(
        "resnet", _PICTURES_8, {"stem_stride": 1, "widths": (16, 32), "depths": (2, 2), "strides": (1, 2)}
    ),
    "resnext_8px": Size(
        "resnet",
        _PICTURES_8,
        {"stem_stride": 1, "widths": (32, 64), "depths": (2, 2), "strides": (1, 2), "bottleneck": 0.5, "groups": 4},
    ),
    "vgg_8px": Size("vgg", _PICTURES_8, {"widths": (16, 32), "depths": (2, 2)}),
    "vit_8px": Size("vit", _PICTURES_8, {"patch": 2, "width": 32, "depth": 3}),
}

SIZES: dict[str, Size] = {
    "vgg11": _vgg((1, 1, 2, 2, 2), normalise=False),
    "vgg13": _vgg((2, 2, 2, 2, 2), normalise=False),
    "vgg16": _vgg((2, 2, 3, 3, 3), normalise=False),
    "vgg19": _vgg((2, 2, 4, 4, 4), normalise=False),
    "vgg11_bn": _vgg((1, 1, 2, 2, 2), normalise=True),
    "vgg13_bn": _vgg((2, 2, 2, 2, 2), normalise=True),
    "vgg16_bn": _vgg((2, 2, 3, 3, 3), normalise=True),
    "vgg19_bn": _vgg((2, 2, 4, 4, 4), normalise=True),
    "resnet18": _resnet((2, 2, 2, 2)),
    "resnet34": _resnet((3, 4, 6, 3)),
    "resnet50": _resnet((3, 4, 6, 3), bottleneck=1 / 4),
    "resnet101": _resnet((3, 4, 23, 3), bottleneck=1 / 4),
    "resnet152": _resnet((3, 8, 36, 3), bottleneck=1 / 4),
    "resnext50": _resnet((3, 4, 6, 3), bottleneck=1 / 2, groups=32),
    "resnext101": _resnet((3, 4, 23, 3), bottleneck=1 / 2, groups=32),
    "densenet121": _densenet((6, 12, 24, 16)),
    "densenet161": _densenet((6, 12, 36, 24), stem=96, growth=48),
    "densenet169": _densenet((6, 12, 32, 32)),
    "densenet201": _densenet((6, 12, 48, 32)),
    "mobilenet_v3_small": _mobilenet_v3(_MOBILENET_V3_SMALL, head=576, dense=1024),
    "mobilenet_v3_large": _mobilenet_v3(_MOBILENET_V3_LARGE, head=960, dense=1280),
    "efficientnet_b0": _efficientnet(1.0, 1.0, side=224, dropout=0.2),
    "efficientnet_b1": _efficientnet(1.0, 1.1, side=240, dropout=0.2),
    "efficientnet_b2": _efficientnet(1.1, 1.2, side=260, dropout=0.3),
    "efficientnet_b3": _efficientnet(1.2, 1.4, side=300, dropout=0.3),
    "efficientnet_b4": _efficientnet(1.4, 1.8, side=380, dropout=0.4),
    "convnext_tiny": _convnext((3, 3, 9, 3), (96, 192, 384, 768), drop_path=0.1),
    "convnext_small": _convnext((3, 3, 27, 3), (96, 192, 384, 768), drop_path=0.4),
    "convnext_base": _convnext((3, 3, 27, 3), (128, 256, 512, 1024), drop_path=0.5),
    "vit_tiny_16": _vit(192, heads=3, patch=16),
    "vit_small_16": _vit(384, heads=6, patch=16),
    "vit_base_16": _vit(768, heads=12, patch=16),
    "vit_base_32": _vit(768, heads=12, patch=32),
    "deeplabv3_resnet50": _deeplab("resnet", _RESNET50_DILATED),
    "deeplabv3_mobilenet_v3_large": _deeplab("mobilenet_v3", _MOBILENET_V3_DILATED),
    **_SMALL,
    **_TINY,
    **_segmenters(_PICTURES_28, stride=2, depth=3),
    **_segmenters(_PICTURES_8, stride=1, depth=2),
}
