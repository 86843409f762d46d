/* SPDX-License-Identifier: Apache-2.0 */
/* What Kconfig has built in, as constants: code for what is left out vanishes without a conditional in it. */
#ifndef HV_FEATURES_H
#define HV_FEATURES_H

#ifdef CONFIG_POOLS
#define HV_POOLS  1
#else
#define HV_POOLS  0
#endif

#ifdef CONFIG_ARINC653
#define HV_ARINC653  1
#else
#define HV_ARINC653  0
#endif

#ifdef CONFIG_CHANNELS
#define HV_CHANNELS  1
#else
#define HV_CHANNELS  0
#endif

#ifdef CONFIG_PCI
#define HV_PCI  1
#else
#define HV_PCI  0
#endif

#ifdef CONFIG_HEALTH
#define HV_HEALTH  1
#else
#define HV_HEALTH  0
#endif

#ifdef CONFIG_WATCHDOG
#define HV_WATCHDOG  1
#else
#define HV_WATCHDOG  0
#endif

#ifdef CONFIG_MONITOR
#define HV_MONITOR  1
#else
#define HV_MONITOR  0
#endif

#ifdef CONFIG_TRACE
#define HV_TRACE        1
#define HV_TRACE_BYTES  (CONFIG_TRACE_KIB * UINT64_C(1024))
#else
#define HV_TRACE        0
#define HV_TRACE_BYTES  UINT64_C(1024)  /* of nothing: there is no ring */
#endif

#endif
