"""Eq. 4 and SR-3D's canonical code: closed forms, properties, gradients, half precision."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="position codes are torch modules: pip install 'proxy3d_ros[models]'")

from proxy3d_core.errors import BadInput  # noqa: E402
from proxy3d_core.proxies.positions import CanonicalPositionCode, HybridPositionCode, canonical  # noqa: E402


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def woken(code: torch.nn.Module) -> torch.nn.Module:
    """With a last layer that is not zero, as after training."""
    torch.nn.init.normal_(code.mlp.last.weight, std=0.1)
    torch.nn.init.normal_(code.mlp.last.bias, std=0.1)
    return code


def at_height(height: float, n: int = 1) -> torch.Tensor:
    return torch.tensor([[0.0, 0.0, height]]).repeat(n, 1)


def test_new_code_only_turns_by_height() -> None:
    code, z = HybridPositionCode(32), torch.randn(5, 32)
    places = torch.rand(5, 3)
    turned = code(z, places)
    assert torch.allclose(turned.norm(dim=1), z.norm(dim=1), atol=1e-5)
    places[:, :2] = torch.rand(5, 2)  # the floor's part is zero as made
    assert torch.equal(code(z, places), turned)
    assert torch.equal(code(z, torch.zeros(5, 3)), z)


def test_turn_is_the_closed_form() -> None:
    """Channel pair (i, i + C/2) as a complex number, times exp(i * h/0.05 * 10000**(-2i/C))."""
    z, height, c = torch.randn(1, 12), 0.73, 12
    got = HybridPositionCode(c)(z, at_height(height)).detach().numpy()[0]
    numbers = z.numpy()[0, :6] + 1j * z.numpy()[0, 6:]
    expected = numbers * np.exp(1j * height / 0.05 * 10_000.0 ** (-2 * np.arange(6) / c))
    assert got == pytest.approx(np.concatenate([expected.real, expected.imag]), abs=1e-5)


@pytest.mark.parametrize("lift", [0.3, 2.0])
def test_inner_products_depend_on_height_differences_only(lift: float) -> None:
    code, a, b = HybridPositionCode(64), torch.randn(1, 64), torch.randn(1, 64)
    low = (code(a, at_height(0.2)) * code(b, at_height(1.1))).sum()
    high = (code(a, at_height(0.2 + lift)) * code(b, at_height(1.1 + lift))).sum()
    other = (code(a, at_height(0.2)) * code(b, at_height(1.6))).sum()
    assert torch.allclose(low, high, atol=1e-3)
    assert not torch.allclose(low, other, atol=1e-2)


def test_floor_part_is_added_and_ignores_height() -> None:
    code, z = woken(HybridPositionCode(16)), torch.randn(3, 16)
    places = torch.tensor([[1.0, 2, 0], [1, 2, 0], [3, -1, 0]])
    added = code(z, places) - z
    assert torch.allclose(added[0], added[1], atol=1e-6)
    assert not torch.allclose(added[0], added[2], atol=1e-2)
    waves = 2 * np.pi * places[2, :2].numpy() / 10 @ code.frequencies.detach().numpy().T
    expected = code.mlp(torch.tensor(np.concatenate([np.sin(waves), np.cos(waves)])).float())
    assert torch.allclose(added[2], expected, atol=1e-5)


def test_batches_and_padding() -> None:
    code = woken(HybridPositionCode(16))
    z, places = torch.randn(2, 4, 7, 16), torch.rand(2, 4, 7, 3)
    mask = torch.rand(2, 4, 7) > 0.4
    z[~mask], places[~mask] = float("nan"), float("inf")
    out = code(z, places, mask)
    assert (out[~mask] == 0).all()
    assert torch.allclose(out[mask], code(z[mask], places[mask]), atol=1e-6)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision(kind: torch.dtype) -> None:
    """Module and features in half precision agree with float32 within their rounding, also ten metres up."""
    code = woken(HybridPositionCode(32))
    z, places = torch.randn(20, 32), torch.rand(20, 3) * 10
    full = code(z, places)
    half = code.to(kind)(z.to(kind), places)
    assert half.dtype == kind
    assert torch.allclose(half.float(), full, atol=0.3 if kind == torch.bfloat16 else 0.05)
    patches = woken(CanonicalPositionCode(32))
    full = patches(z, places / 10)
    assert torch.allclose(patches.to(kind)(z.to(kind), places / 10).float(), full, atol=0.1)


def test_gradients() -> None:
    code = woken(HybridPositionCode(4, frequencies=3)).double()
    z = torch.randn(2, 4, dtype=torch.double, requires_grad=True)
    places = torch.rand(2, 3)
    code(z, places).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in code.parameters())
    # Rotations keep lengths and the floor's part is constant in z: d|z' |^2 / dz by central differences.
    for i in range(4):
        step = torch.zeros_like(z)
        step[0, i] = 1e-2
        ends = [code(z.detach() + s * step, places).square().sum().item() for s in (1, -1)]
        assert (ends[0] - ends[1]) / 2e-2 == pytest.approx(z.grad[0, i].item(), abs=1e-2)


def test_canonical_space_by_hand() -> None:
    points = torch.tensor([[0.0, 0, 0], [4, 2, 1]])
    assert canonical(points).tolist() == [[-1, -0.5, -0.25], [1, 0.5, 0.25]]
    assert canonical(points, scale=10.0)[1].tolist() == pytest.approx([0.2, 0.1, 0.05])
    far = torch.cat([points, torch.full((1, 3), torch.inf)])
    valid = torch.tensor([True, True, False])
    assert canonical(far, valid).tolist() == [[-1, -0.5, -0.25], [1, 0.5, 0.25], [0, 0, 0]]
    assert canonical(far, ~(valid | True)).tolist() == [[0, 0, 0]] * 3


def test_patch_code_is_nothing_at_first_and_then_says_where() -> None:
    code, grid = CanonicalPositionCode(8), torch.randn(2, 3, 4, 8)
    where = torch.rand(2, 3, 4, 3) * 2 - 1
    valid = torch.rand(2, 3, 4) > 0.3
    where[~valid] = float("nan")
    assert torch.equal(code(grid, where, valid), grid)
    added = woken(code)(grid, where, valid) - grid
    assert (added[~valid] == 0).all()  # the vector for nowhere is still as it began
    assert added[valid].abs().min() > 0
    x = where[valid][0].numpy().astype(np.float64)
    angles = (x[:, None] * np.pi * 2.0 ** np.arange(10)).ravel()
    waves = torch.tensor(np.concatenate([x, np.sin(angles), np.cos(angles)])).float()
    assert torch.allclose(added[valid][0], code.mlp(waves), atol=1e-3)  # the fastest sinusoid turns 512 times


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(BadInput, match="odd"):
        HybridPositionCode(7)
    with pytest.raises(BadInput, match="do not match"):
        HybridPositionCode(8)(torch.zeros(2, 8), torch.zeros(3, 3))
    with pytest.raises(BadInput, match="do not match"):
        CanonicalPositionCode(8)(torch.zeros(2, 4), torch.zeros(2, 3))
