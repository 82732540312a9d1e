"""The built-in directives, in the order in which lines are compared with them."""

from __future__ import annotations

from typing import Final

from pysoa.test.plan.grammar.directive import LineDirective
from pysoa.test.plan.grammar.directives import (
    expects_errors,
    expects_values,
    inputs,
    mock,
    plans,
    stub_action,
    time,
)

__all__ = ("BUILT_IN_DIRECTIVES",)

BUILT_IN_DIRECTIVES: Final[tuple[type[LineDirective], ...]] = (
    plans.FixtureCommentDirective,
    plans.PlanNameDirective,
    plans.PlanDescriptionDirective,
    plans.PlanSkipDirective,
    inputs.ActionInputDirective,
    expects_errors.ActionExpectsFieldMessageErrorDirective,
    expects_errors.ActionExpectsMessageErrorDirective,
    expects_errors.ActionExpectsFieldErrorDirective,
    expects_errors.ActionExpectsErrorDirective,
    expects_errors.ActionExpectsNoErrorsDirective,
    expects_values.ActionExpectsValueDirective,
    expects_values.ActionExpectsAnyValueDirective,
    expects_values.ActionExpectsNoneDirective,
    expects_values.ActionExpectsNotPresentDirective,
    mock.PlanMockCalledDirective,
    mock.ActionMockCalledDirective,
    mock.PlanMockResultDirective,
    mock.ActionMockResultDirective,
    stub_action.PlanStubBodyDirective,
    stub_action.ActionStubBodyDirective,
    stub_action.PlanStubErrorDirective,
    stub_action.ActionStubErrorDirective,
    stub_action.PlanStubCalledDirective,
    stub_action.ActionStubCalledDirective,
    time.PlanFreezeTimeDirective,
    time.ActionFreezeTimeDirective,
)
