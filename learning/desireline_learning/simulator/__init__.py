"""A seeded simulator of a B2B SaaS company: a test bench, never evidence about real customers."""

from desireline_learning.simulator.company import Company, TrialTruth, Truth
from desireline_learning.simulator.scenario import Conduct, Effects, Scenario
from desireline_learning.simulator.traffic import Delivery

__all__ = ["Company", "Conduct", "Delivery", "Effects", "Scenario", "TrialTruth", "Truth"]
