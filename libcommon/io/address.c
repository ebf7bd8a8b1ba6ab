/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/io/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "libcommon/base/str.h"

bool
address_is_unix(const char *address)
{
	return address[0] == '/';
}

bool
address_split(const char *address, char host[ADDRESS_HOST_SIZE], char port[ADDRESS_PORT_SIZE])
{
	const char *colon = strrchr(address, ':');
	const char *start = address, *end = colon;
	uint64_t number;

	if (colon == NULL || !str_to_u64(colon + 1, 0, UINT16_MAX, &number) ||
	    !str_copy(port, ADDRESS_PORT_SIZE, colon + 1))
		return false;
	if (start[0] == '[') {
		if (end - start < 2 || end[-1] != ']')
			return false;
		start++;
		end--;
	} else if (memchr(start, ':', (size_t)(end - start)) != NULL) {
		return false; /* a V6 address without brackets: where does its port begin? */
	}
	if (end - start >= ADDRESS_HOST_SIZE)
		return false;
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = '\0';
	return true;
}

bool
address_unix(const char *path, struct sockaddr_un *un)
{
	*un = (struct sockaddr_un){.sun_family = AF_UNIX};
	return str_copy(un->sun_path, sizeof un->sun_path, path);
}

bool
address_is_loopback(const char *host)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, host, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6) ||
		       (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
	return strcmp(host, "localhost") == 0;
}

void
address_join(char *to, size_t size, const char *host, int port)
{
	snprintf(to, size, strchr(host, ':') != NULL ? "[%s]:%d" : "%s:%d", host, port);
}

void
address_text(char to[ADDRESS_TEXT_SIZE], const struct sockaddr *sa, socklen_t size)
{
	char host[ADDRESS_HOST_SIZE], port[ADDRESS_PORT_SIZE];

	if (sa->sa_family != AF_INET && sa->sa_family != AF_INET6)
		snprintf(to, ADDRESS_TEXT_SIZE, "unix");
	else if (getnameinfo(sa, size, host, sizeof host, port, sizeof port,
		     NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		snprintf(to, ADDRESS_TEXT_SIZE, "unknown");
	else
		snprintf(to, ADDRESS_TEXT_SIZE, sa->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s",
		    host, port);
}
