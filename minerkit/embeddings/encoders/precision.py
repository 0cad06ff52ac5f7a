"""What a model computes in: half precision where that is fast and changes next to nothing."""

from typing import Any

import numpy as np

from minerkit.embeddings.encoders.forward import Forward
from minerkit.runtime import native_half

__all__ = ["choose_precision"]

#: The least cosine between a vector computed in half precision and the same in float32.
COSINE = 0.999
#: What the vectors are compared on. They are fixed, so that the choice depends on model and device alone.
SENTENCES = (
    "what is the capital of france",
    "The 2008 earthquake measured 8.0 and left 69,197 people dead.",
    "Wie lange dauert es, bis ein Ei hart gekocht ist?",
    "光刻机是制造芯片的核心设备，其分辨率由波长和数值孔径决定。",
    "ما هي أسباب تغير المناخ؟",
    "def add(a, b):\n    return a + b",
    "Red cotton T-shirt, men's, size XL, 2-pack.",
    "Почему небо голубое?",
)
PROBES = ("a", *SENTENCES, " ".join(SENTENCES), " ".join(SENTENCES * 4))


def choose_precision(model: Any) -> str:
    """Choose what a model is computed in on its device.

    Args:
        model: A SentenceTransformer.

    Returns:
        bfloat16 or float16 where the device computes it natively, the model is a transformer in float32, and
        the cosine to float32 is at least 0.999 for texts of several languages and lengths; else float32.
    """
    import torch
    from transformers import PreTrainedModel

    half = native_half(model.device.type)
    whole = all(weight.dtype == torch.float32 for weight in model.parameters())
    if half is None or not whole or not any(isinstance(part, PreTrainedModel) for part in model.modules()):
        return "float32"
    exact, close = (Forward(model, precision)(PROBES, "", "document") for precision in ("float32", half))
    lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(close, axis=1)
    cosines = (exact * close).sum(axis=1) / np.maximum(lengths, np.finfo(np.float32).tiny)
    return half if cosines.min() >= COSINE else "float32"  # values that are not numbers fail as well
