/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ARINC 653 ports on a channel (arinc_ports.h), by command. A queue lies in a channel between two peers: the position,
 * then the ring. Its messages have numbers, from which size and contents follow.
 */
#ifndef PORTS_H
#define PORTS_H

#include "channel.h"

/*
 * send CHANNEL FIRST LAST    each message once: what finds no room is lost; then a ring
 * stream CHANNEL FIRST LAST  each as soon as there is room, with a ring
 * receive CHANNEL            from now on what comes is taken at each ring, silently
 * take CHANNEL               takes what waits, and says what was taken since the last time
 * sample CHANNEL AGE TEXT    into a sampling port, as if written so many milliseconds ago; then a ring
 */
bool ports_command(const struct channel *channel, const char *name, const char *verb, const char *rest);

/* A ring came; true: the channel's queue has been emptied, nothing is to be shown. */
bool ports_rung(const struct channel *channel);

#endif
