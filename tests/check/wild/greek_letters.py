"""Greek names and a sum over samples with np.outer."""

import numpy as np

# network  z = Θ₂ tanh(Θ₁ξ + β₁) + β₂ ,  heteroscedastic noise σ per data point
rng = np.random.default_rng(1905)
Ν, d, k, m = 8, 3, 5, 2
ξ = rng.standard_normal((Ν, d))
τ = rng.standard_normal((Ν, m))
σ = rng.uniform(0.5, 1.5, Ν)
λ = 0.15

Θ1 = 0.7 * rng.standard_normal((k, d))
Θ2 = 0.7 * rng.standard_normal((m, k))
β1 = 0.1 * rng.standard_normal(k)
β2 = 0.1 * rng.standard_normal(m)


def φ(a):
    return np.tanh(a)


def dφ(a):
    return 1.0 / np.cosh(a) ** 2


def χ2(ξ, τ, σ, Θ1, Θ2, β1, β2):
    E = 0.0
    for n in range(len(ξ)):
        ζ = Θ2 @ φ(Θ1 @ ξ[n] + β1) + β2
        E += 0.5 * np.sum((ζ - τ[n]) ** 2) / σ[n] ** 2
    return E + 0.5 * λ * (np.sum(Θ1 ** 2) + np.sum(Θ2 ** 2))


def gradχ2(ξ, τ, σ, Θ1, Θ2, β1, β2):
    ΔΘ1, ΔΘ2 = λ * Θ1, λ * Θ2
    Δβ1, Δβ2 = np.zeros_like(β1), np.zeros_like(β2)
    for n in range(len(ξ)):
        α = Θ1 @ ξ[n] + β1
        η = φ(α)
        ζ = Θ2 @ η + β2
        δ2 = (ζ - τ[n]) / σ[n] ** 2
        δ1 = dφ(α) * (Θ2.T @ δ2)
        ΔΘ2 += np.outer(δ2, η)
        Δβ2 += δ2
        ΔΘ1 += np.outer(δ1, ξ[n])
        Δβ1 += δ1
    return ΔΘ1, ΔΘ2, Δβ1, Δβ2


CHECK = "check(χ2, gradχ2, ξ=ξ, τ=τ, σ=σ, Θ1=Θ1, Θ2=Θ2, β1=β1, β2=β2)"

MISTAKES = [
    ("δ2 = (ζ - τ[n]) / σ[n] ** 2",
     "δ2 = (ζ - τ[n]) / σ[n]",
     "noise not squared"),
    ("Δβ1 += δ1",
     "Δβ1 = δ1",
     "= for +=: only the last sample counts"),
    ("ΔΘ1, ΔΘ2 = λ * Θ1, λ * Θ2",
     "ΔΘ1, ΔΘ2 = 2 * λ * Θ1, 2 * λ * Θ2",
     "factor 2 too many in the prior"),
    ("return ΔΘ1, ΔΘ2, Δβ1, Δβ2",
     "return ΔΘ1, ΔΘ2, Δβ2, Δβ1",
     "returns of the biases swapped"),
]
