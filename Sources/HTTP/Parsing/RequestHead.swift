/// What a request head says, as far as the framing and the routing need it. Offsets count from the start of the head.
struct RequestHead {
    var method = HTTPMethod.get
    /// 0 for HTTP/1.0; a minor version above 1 counts as 1 (RFC 9110, section 2.5).
    var minorVersion: UInt8 = 1
    var keepsAlive = true
    var expectsContinue = false
    var isChunked = false
    /// Whether there is a field that only a browser sends by itself: Origin or Sec-Fetch-Site.
    var isFromBrowser = false
    /// -1 when there is no Content-Length.
    var contentLength = -1
    var targetStart = 0
    /// The path within the target; empty for an absolute target without one, which means `/`.
    var pathStart = 0
    var pathEnd = 0
    /// Just after the question mark, or the target's end when there is none.
    var queryStart = 0
    var targetEnd = 0
    /// The value of Host; empty without one.
    var hostStart: UInt16 = 0
    var hostCount: UInt16 = 0

    var hasBody: Bool { isChunked || contentLength > 0 }
}
