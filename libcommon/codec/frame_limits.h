/* SPDX-License-Identifier: Apache-2.0 */
/* What both ends of the suite's own links keep to: the sizes of frames, and windows of streams. */
#ifndef CORRAL_CODEC_FRAME_LIMITS_H
#define CORRAL_CODEC_FRAME_LIMITS_H

/* Of one frame; a registration names every task of a node. */
#define FRAME_AGENT_MASTER_BYTES_MAX (16u << 20)
#define FRAME_EXECUTOR_AGENT_BYTES_MAX (256u << 10)
#define FRAME_CLIENT_MASTER_BYTES_MAX (2u << 20)

/* What a sender may have on the way, unacknowledged, in each direction of a task's streams. */
#define STREAM_WINDOW_BYTES (1u << 20)

#endif
