"""Gradients as vectors, against PyTorch's own backward pass."""

from dataclasses import replace

import torch
from torch.nn import functional

from unlearn_core.progress import silent
from unlearn_core.sparsify.mask import SparseMask
from unlearn_core.unlearning.gradients import flat, per_image_gradients, set_flat, unmasked, weighted_gradient


def own_gradient(model, image, label):
    model.zero_grad()
    functional.cross_entropy(model(image[None]), label[None]).backward()
    return torch.cat([p.grad.reshape(-1) for p in model.net.parameters()])


def test_each_images_gradient_and_their_weighted_sum(trained, colours):
    few = colours.train.select(torch.arange(5))
    truth = torch.stack([own_gradient(trained, i, k) for i, k in zip(few.images, few.labels, strict=True)])
    torch.testing.assert_close(per_image_gradients(trained, few), truth, rtol=1e-3, atol=1e-5)
    weights = torch.tensor([1.0, -2.0, 0.0, 0.5, 3.0])
    summed = weighted_gradient(trained, few, weights, batch_size=2, report=silent, stage="x")
    torch.testing.assert_close(summed, weights @ truth, rtol=1e-3, atol=1e-5)
    assert not trained.training


def test_writing_back_what_was_read_changes_nothing(trained):
    before = flat(trained)
    set_flat(trained, before + 1)
    assert torch.equal(flat(trained), before + 1)


def test_what_a_mask_keeps_lies_where_the_vector_has_it(trained, task_of):
    name = "layer1.0.conv1.weight"
    keep = torch.zeros_like(trained.net.get_parameter(name), dtype=torch.bool)
    marked = unmasked(trained, replace(task_of(), mask=SparseMask({name: keep})))
    set_flat(trained, marked.float())
    assert not trained.net.get_parameter(name).any()
    assert trained.net.layer1[0].conv2.weight.all() and trained.net.linear.bias.all()
    assert unmasked(trained, task_of()).all()
