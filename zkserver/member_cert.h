/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a member's certificate that does not name the member's host. */
#ifndef CORRAL_ZKSERVER_MEMBER_CERT_H
#define CORRAL_ZKSERVER_MEMBER_CERT_H

#include <stddef.h>

#include "libcommon/io/stream.h"

#define MEMBER_CERT_WHY_SIZE 512

/*
 * The certificate that came on `s` does not name `host`: which it is, what it should name, and by
 * which setting that is asked. `dialled`: it was us who connected.
 */
void member_cert_print_refusal(
    const struct stream *s, const char *host, bool dialled, char *to, size_t size);

#endif
