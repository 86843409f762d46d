# SPDX-License-Identifier: Apache-2.0
"""`bulkhead trace`: what happened on shared cores, out of a dump of the hypervisor's rings."""
