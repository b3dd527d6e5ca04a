import Bytes

/// Requests as they go over the wire, all built before the clock starts.
struct RequestSet {
    private let bytes = ByteBuffer()
    private var ends: [Int] = []

    var count: Int { ends.count }

    /// The bytes of one request; the view holds as long as the set, which is complete by then.
    func view(_ index: Int) -> ByteView {
        bytes.view.slice(index == 0 ? 0 : ends[index - 1], ends[index])
    }

    /// Adds a request without a body.
    mutating func add(_ method: StaticString, _ path: String, _ common: String, headers: String = "") {
        appendHead(method, path, common, headers)
        bytes.append("\r\n")
        ends.append(bytes.count)
    }

    /// Adds a request with a JSON body.
    mutating func add(_ method: StaticString, _ path: String, _ common: String, json: ByteView) {
        appendHead(method, path, common, "Content-Type: application/json\r\n")
        bytes.append("Content-Length: ")
        bytes.append(decimal: json.count)
        bytes.append("\r\n\r\n")
        bytes.append(json)
        ends.append(bytes.count)
    }

    private func appendHead(_ method: StaticString, _ path: String, _ common: String, _ headers: String) {
        bytes.append(method)
        bytes.append(" ")
        bytes.append(path)
        bytes.append(" HTTP/1.1\r\n")
        bytes.append(common)
        bytes.append(headers)
    }
}
