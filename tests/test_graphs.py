"""Nodes and bytes of a graph are those that can be counted by hand."""

import torch

from tabkit import ruler


def test_a_node_is_counted_once_however_many_ways_lead_to_it():
    x = torch.ones(2, requires_grad=True)
    y = x.exp()
    assert ruler.graph_nodes(x.exp()) == 2
    assert ruler.graph_nodes(y * y + y) == 4  # x, exp, mul, add
    assert ruler.graph_nodes(torch.ones(2)) == 0


def test_bytes_are_counted_once_a_piece_of_memory_and_weights_can_be_left_out():
    x, weight = torch.ones(10, 4, requires_grad=True), torch.ones(4, 3, requires_grad=True)
    assert ruler.kept_bytes(lambda: x @ weight) == 4 * (40 + 12)
    assert ruler.kept_bytes(lambda: x @ weight, but=[weight]) == 4 * 40
    assert ruler.kept_bytes(lambda: x.exp() * x.exp()) == 4 * 80  # two results
    assert ruler.kept_bytes(lambda: torch.ones(5).exp()) == 0
