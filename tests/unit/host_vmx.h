/* SPDX-License-Identifier: Apache-2.0 */
/* Included before every line of src/arch/x86/vmx when it is built for the host. */
#ifndef HOST_VMX_H
#define HOST_VMX_H

#include "host_vmx_access.h"
#include "host_x86.h"

#endif
