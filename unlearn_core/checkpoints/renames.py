"""Names that repositories give to the same layers, as one table: a line a habit.

Both sides, a file's names and a net's, are brought into one spelling by the same lines, in order; a layer then has the
same name on both sides whoever wrote it. Where two names of one side would fall together, they stay as they are.
"""

import re
from collections import Counter
from collections.abc import Iterable

# A line: what a name may hold, and how it is spelled in its place. Add the layout of another repository here.
LINES: tuple[tuple[str, str], ...] = (
    # Whole networks that are split into a body and a head.
    (
        r"^(?:encoder|backbone|base|base_model|feature_extractor|trunk|body|resnet|net|model|features?_net)\.",
        "",
    ),
    # The last layer: fc, linear, classifier, alone or in a Sequential of its own.
    (
        r"^(?:fc|fc1|linear|classifier|head|heads|output|out|logits|last_linear|last_layer|final|final_layer|clf|cls)\.",
        "head.",
    ),
    (
        r"^(?:classification_head|classification_layer|cls_head|output_layer|dense|linear1|fc_layer|fc_out)\.",
        "head.",
    ),
    (r"^head\.(?:\d+|fc|linear|dense|classifier|head|last|out|output)\.(weight|bias)$", r"head.\1"),
    # The first convolution and its norm: alone, or together in a Sequential.
    (
        r"^(?:stem|conv1|conv_bn|conv0|prep|init_block|first|init|input_layer|conv_bn_relu)\.(?:0|conv)\.",
        "conv1.",
    ),
    (
        r"^(?:stem|conv1|conv_bn|conv0|prep|init_block|first|init|input_layer|conv_bn_relu)\.(?:1|bn|norm)\.",
        "bn1.",
    ),
    (
        r"^(?:stem\.)?(?:conv|conv0|conv_1|conv1_1|conv_in|conv_init|conv_stem|init_conv|first_conv|stem_conv)\.",
        "conv1.",
    ),
    (
        r"^(?:stem\.)?(?:bn|bn0|bn_1|norm|norm1|bn_in|bn_init|bn_stem|init_bn|first_bn|stem_bn|batch_norm)\.",
        "bn1.",
    ),
    # Stages and their blocks.
    *((rf"^(?:layers|stages|blocks|groups|stage_list)\.{i}\.", f"layer{i + 1}.") for i in range(4)),
    *((rf"^conv{i + 1}_x\.", f"layer{i}.") for i in range(1, 5)),
    (r"^(?:stage|block|group|layer|res|section)_?([1-4])\.", r"layer\1."),
    (r"^(layer\d)\.(?:blocks|layers)\.", r"\1."),
    (r"^(layer\d)\.(?:block|unit|layer|resblock|b)_?(\d+)\.", r"\1.\2."),
    # Inside a block: pairs of convolution and norm in a Sequential, under any of its names.
    (
        r"\.(?:residual_function|residual_branch|conv_block|block|body|main|left|convs|double_conv|residual)\.0\.",
        ".conv1.",
    ),
    (
        r"\.(?:residual_function|residual_branch|conv_block|block|body|main|left|convs|double_conv|residual)\.1\.",
        ".bn1.",
    ),
    (
        r"\.(?:residual_function|residual_branch|conv_block|block|body|main|left|convs|double_conv|residual)\.3\.",
        ".conv2.",
    ),
    (
        r"\.(?:residual_function|residual_branch|conv_block|block|body|main|left|convs|double_conv|residual)\.4\.",
        ".bn2.",
    ),
    (
        r"\.(?:residual_function|residual_branch|conv_block|block|body|main|left|convs|double_conv|residual)\.6\.",
        ".conv3.",
    ),
    (
        r"\.(?:residual_function|residual_branch|conv_block|block|body|main|left|convs|double_conv|residual)\.7\.",
        ".bn3.",
    ),
    (r"\.(?:conv_bn|convbn|conv_block|cb)_?(\d)\.(?:conv|0)\.", r".conv\1."),
    (r"\.(?:conv_bn|convbn|conv_block|cb)_?(\d)\.(?:bn|norm|1)\.", r".bn\1."),
    (r"\.conv_?([a-c1-3])\.(?:conv|0)\.", r".conv\1."),
    (r"\.conv_?([a-c1-3])\.(?:bn|norm|1)\.", r".bn\1."),
    (r"\.conv_([1-3])\.", r".conv\1."),
    (r"\.(?:bn_|norm_|batch_norm_?|batchnorm_?)([1-3])\.", r".bn\1."),
    (r"\.(?:conv_?a|conv2d_a)\.", ".conv1."),
    (r"\.(?:conv_?b|conv2d_b)\.", ".conv2."),
    (r"\.(?:bn_?a|norm_?a)\.", ".bn1."),
    (r"\.(?:bn_?b|norm_?b)\.", ".bn2."),
    # The way around a block.
    (
        r"\.(?:downsample|skip|skip_connection|skip_layer|identity|identity_conv|shortcut|short_cut|proj|projection)\.",
        ".skip.",
    ),
    (r"\.(?:down_sample|residual_conv|match|identity_downsample|conv_skip|res_conv|right)\.", ".skip."),
    (r"\.skip\.(?:conv|conv1)\.", ".skip.0."),
    (r"\.skip\.(?:bn|norm|bn1)\.", ".skip.1."),
    # VGG's and DenseNet's bodies.
    (r"^(?:feature|features|conv_layers|convs|cnn|extractor|feature_layers)\.", "features."),
    (r"^features\.(?:features|layers|module)\.", "features."),
    (r"(denselayer\d+\.(?:norm|conv))\.(\d\.)", r"\1\2"),  # torchvision's published densenet files
    # Norms whose statistics and scale go by older words.
    (r"\.(?:gamma|scale)$", ".weight"),
    (r"\.(?:beta|offset)$", ".bias"),
    (r"\.moving_mean$", ".running_mean"),
    (r"\.(?:moving_var|moving_variance)$", ".running_var"),
)
_COMPILED = tuple((re.compile(pattern), spelling) for pattern, spelling in LINES)


def respelled(names: Iterable[str]) -> dict[str, str]:
    """Each name in the common spelling; as it is where another name of these would be spelled alike."""
    spelled = {name: _spelled(name) for name in names}
    counts = Counter(spelled.values())
    return {name: new if counts[new] == 1 else name for name, new in spelled.items()}


def _spelled(name: str) -> str:
    for pattern, spelling in _COMPILED:
        name = pattern.sub(spelling, name)
    return name
