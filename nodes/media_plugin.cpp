// SPDX-License-Identifier: Apache-2.0
#include "media_plugin.hpp"

hawse::Node* hawse_make_media_source() { return hawse::nodes::make_media_source().release(); }
hawse::Node* hawse_make_media_sink() { return hawse::nodes::make_media_sink().release(); }

hawse::nodes::FrameWriter* hawse_make_frame_writer(const char* uri, const char* container) { return hawse::nodes::make_frame_writer(uri, container).release(); }
