# SPDX-License-Identifier: Apache-2.0
"""The scheduler on the host: random sets of servers against an oracle."""
