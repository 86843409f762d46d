/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

uint64_t machine_argument(const char *key, uint64_t otherwise)
{
    for (const char *at = machine_arguments(); *at != '\0'; at++) {
        if (str_prefix(at, key)) {
            return str_number(at + strlen(key), NULL);
        }
    }
    return otherwise;
}
