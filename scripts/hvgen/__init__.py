# SPDX-License-Identifier: Apache-2.0
"""The generator: a board and a system.yaml become a plan, and the plan tables, C and reports."""
