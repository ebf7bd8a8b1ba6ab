/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as texts: "HOST:PORT", "[V6]:PORT", ":PORT" (any address, to listen on), "/path". */
#ifndef CORRAL_IO_ADDRESS_H
#define CORRAL_IO_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define ADDRESS_HOST_SIZE 256 /* a DNS name has at most 253 bytes */
#define ADDRESS_PORT_SIZE 6
#define ADDRESS_TEXT_SIZE (ADDRESS_HOST_SIZE + ADDRESS_PORT_SIZE + 3)

struct sockaddr_un;

/* Split "HOST:PORT" or "[V6]:PORT" (host without brackets, may come out empty). */
bool address_split(const char *address, char host[ADDRESS_HOST_SIZE], char port[ADDRESS_PORT_SIZE]);

/* The address is the path of a Unix socket. */
bool address_is_unix(const char *address);

/* False: the path is too long for a Unix socket (107 bytes). */
bool address_unix(const char *path, struct sockaddr_un *un);

/* Is a host (a number, or localhost) one that other machines cannot reach: 127.0.0.0/8, ::1? */
bool address_is_loopback(const char *host);

/* "HOST:PORT", "[V6]:PORT" or ":PORT"; cut where there is no room. */
void address_join(char *to, size_t size, const char *host, int port);

/* "HOST:PORT", "[V6]:PORT" or "unix" of what the kernel gave. */
void address_text(char to[ADDRESS_TEXT_SIZE], const struct sockaddr *sa, socklen_t size);

#endif
