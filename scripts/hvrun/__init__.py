# SPDX-License-Identifier: Apache-2.0
"""How an image is started under the emulator of its board; for scripts/run and for the tests."""
