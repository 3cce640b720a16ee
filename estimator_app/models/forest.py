"""Decision trees as flat arrays, made from a model of ydf and walked by plain TensorFlow operations.

A SavedModel of these needs no custom operation, so that any server of any TensorFlow can load it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Forest:
    """Trees, their nodes one after the other. A leaf leads to itself.

    Attributes:
      roots: `[trees]` int32, the node at which each begins.
      outputs: `[trees]` int32, the logit to which it adds.
      attribute: `[nodes]` int32, the input that the node asks for.
      threshold: `[nodes]` float32: an input of at least so much is answered positively.
      mask_start: `[nodes]` int32: of an input of codes where in `masks` its code 0 stands; -1 for numbers.
      positive: `[nodes]` int32, the node that follows then.
      negative: `[nodes]` int32, the node that follows otherwise.
      value: `[nodes]` float32, what a leaf adds.
      masks: `[places]` bool, whether a code is answered positively.
      bias: `[logits]` float32, what the trees add to.
    """

    roots: Any
    outputs: Any
    attribute: Any
    threshold: Any
    mask_start: Any
    positive: Any
    negative: Any
    value: Any
    masks: Any
    bias: Any


def empty(num_logits: int) -> Forest:
    """Returns one tree of one leaf that adds nothing."""
    node = np.zeros(1, np.int32)
    nothing = np.zeros(1, np.float32)
    return Forest(
        *(node, node, node, nothing, node - 1, node, node, nothing),
        masks=np.zeros(1, bool),
        bias=np.zeros(num_logits, np.float32),
    )


def from_ydf(
    model: Any, classes: Sequence[int], inputs: Sequence[str], codes: Mapping[str, int]
) -> Forest:
    """Returns the trees of a gradient boosted model.

    Args:
      model: `ydf.GradientBoostedTreesModel`, whose categorical inputs are codes written as text.
      classes: which of ours each of the model's classes is; empty for a regression.
      inputs: names of the model's inputs, as the columns of the matrix stand that the trees will be asked about.
      codes: name of a categorical input -> how many codes there are, from 0 on.
    """
    # Of two classes there is one logit, that of the second; ydf's second class may be our first.
    turned = len(classes) == 2 and classes[1] == 0
    sign = -1.0 if turned else 1.0
    biases = np.asarray(model.initial_predictions(), np.float32)
    outputs = list(classes) if len(classes) > 2 else [0]
    bias = np.zeros(len(outputs), np.float32)
    bias[outputs] = sign * biases
    places = {name: place for place, name in enumerate(inputs)}
    columns = [column.name for column in model.data_spec().columns]
    items = {
        column.name: {
            int(text): item.index
            for text, item in column.categorical.items.items()
            if text.isdigit()
        }
        for column in model.data_spec().columns
        if column.name in codes
    }
    nodes: list[tuple[int, float, int, int, int, float]] = []
    masks: list[np.ndarray] = [np.zeros(1, bool)]
    roots = []
    for tree in model.iter_trees():
        roots.append(len(nodes))
        waiting = [(tree.root, -1, False)]
        while waiting:
            node, parent, is_positive = waiting.pop()
            own = len(nodes)
            if parent >= 0:
                link = (
                    own if is_positive else nodes[parent][3],
                    nodes[parent][4] if is_positive else own,
                )
                nodes[parent] = (*nodes[parent][:3], *link, nodes[parent][5])
            if node.is_leaf:
                nodes.append((0, 0.0, -1, own, own, sign * node.value.value))
                continue
            condition = node.condition
            name = columns[condition.attribute]
            if name in codes:
                chosen = set(condition.mask)
                known = items[name]
                # A code that the model has not seen is its item 0.
                mask = np.array([known.get(code, 0) in chosen for code in range(codes[name])])
                nodes.append((places[name], 0.0, sum(map(len, masks)), own, own, 0.0))
                masks.append(mask)
            else:
                nodes.append((places[name], condition.threshold, -1, own, own, 0.0))
            waiting += [(node.neg_child, own, False), (node.pos_child, own, True)]
    attribute, threshold, mask_start, positive, negative, value = zip(*nodes, strict=True)
    return Forest(
        roots=np.array(roots, np.int32),
        outputs=np.array([outputs[i % len(outputs)] for i in range(len(roots))], np.int32),
        attribute=np.array(attribute, np.int32),
        threshold=np.array(threshold, np.float32),
        mask_start=np.array(mask_start, np.int32),
        positive=np.array(positive, np.int32),
        negative=np.array(negative, np.int32),
        value=np.array(value, np.float32),
        masks=np.concatenate(masks),
        bias=bias,
    )


def logits(forest: Forest, inputs: Any, depth: int, num_logits: int) -> Any:
    """Returns what the trees answer, `[batch, num_logits]` float32.

    Args:
      forest: its attributes as tensors.
      inputs: `[batch, inputs]` float32: numbers, and codes.
      depth: questions on the longest way from a root to a leaf, at most.
      num_logits: size of `bias`.
    """
    node = tf.tile(forest.roots[tf.newaxis], [tf.shape(inputs)[0], 1])  # [batch, trees]
    for _ in range(depth):
        asked = tf.gather(inputs, tf.gather(forest.attribute, node), batch_dims=1)
        start = tf.gather(forest.mask_start, node)
        is_code = start >= 0
        place = tf.where(is_code, start + tf.cast(asked, tf.int32), 0)
        answer = tf.where(
            is_code, tf.gather(forest.masks, place), asked >= tf.gather(forest.threshold, node)
        )
        node = tf.where(answer, tf.gather(forest.positive, node), tf.gather(forest.negative, node))
    added = tf.gather(forest.value, node)
    return forest.bias + tf.matmul(added, tf.one_hot(forest.outputs, num_logits))
