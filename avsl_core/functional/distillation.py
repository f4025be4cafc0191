"""Losses that teach a network on small pictures what another one sees on large ones.

Source: Suma and Tolias, *Large-to-small Image Resolution Asymmetry in Deep Metric Learning*, WACV 2023,
section 3 (RAML). A picture is seen in A augmentations, the same ones by both networks.
"""

import torch
from torch import Tensor

__all__ = ["absolute_distillation", "relational_distillation"]


def absolute_distillation(student: Tensor, teacher: Tensor) -> Tensor:
    """Bring each student vector to the teacher's of the same view.

    Args:
        student: s, ``[B, A, D]``, normalised.
        teacher: t, ``[B, A, D]``, normalised.

    Returns:
        Scalar: sum over pictures of the mean over views of (1 - s_a . t_a)^2.

    Raises:
        ValueError: If the shapes differ.
    """
    _check(student, teacher)
    return (1.0 - (student * teacher).sum(dim=2)).square().mean(dim=1).sum()


def relational_distillation(student: Tensor, teacher: Tensor, *, student_only: bool = False) -> Tensor:
    """Keep the similarities between different views of a picture as the teacher has them.

    Args:
        student: s, ``[B, A, D]``, normalised.
        teacher: t, ``[B, A, D]``, normalised.
        student_only: Compare s_a . s_b rather than s_a . t_b with t_a . t_b.

    Returns:
        Scalar: sum over pictures of the mean over ordered pairs a != b of the squared difference; zero for
        a single view.

    Raises:
        ValueError: If the shapes differ.
    """
    _check(student, teacher)
    other = student if student_only else teacher
    views = student.shape[1]
    if views == 1:
        return (student * 0.0).sum()
    wanted = teacher @ teacher.transpose(1, 2)
    difference = (student @ other.transpose(1, 2) - wanted).square()
    apart = ~torch.eye(views, dtype=torch.bool, device=student.device)
    return difference[:, apart].sum() / (views * (views - 1))


def _check(student: Tensor, teacher: Tensor) -> None:
    if student.dim() != 3 or student.shape != teacher.shape:
        raise ValueError(
            f"student and teacher must both be [B, A, D], not {tuple(student.shape)} "
            f"and {tuple(teacher.shape)}"
        )
