/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/sys/ownproc.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mount.h>

static bool
make_private(const char **what)
{
	*what = "making / private";
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
		return true;
	if (errno != EINVAL)
		return false;
	/* The mount that holds our / cannot be named from inside a chroot; that of /proc can. */
	*what = "making /proc private";
	return mount("none", "/proc", NULL, MS_PRIVATE, NULL) == 0;
}

bool
ownproc_mount(const char **what)
{
	if (!make_private(what))
		return false;
	*what = "mount /proc";
	return mount("proc", "/proc", "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL) == 0;
}
