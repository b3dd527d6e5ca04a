import Bytes

/// Reads the field Forwarded (RFC 7239): for each element, left to right, the address of its `for` parameter; nil where
/// that is `unknown`, a name that hides the address, or missing.
enum ForwardedField {
    /// - Parameter line: one line of the field.
    ///
    /// A proxy adds its element to whatever a client sent. Where the whole is not by the grammar, such as behind a quote that
    /// never closes, the last element that is, is what the proxy wrote, and nothing before it can be read.
    static func addresses(_ line: ByteView) -> [IPAddress?] {
        var scanner = Scanner(line)
        if let addresses = scanner.list() { return addresses }
        var end = line.count
        while let comma = line.slice(0, end).lastIndex(of: UInt8(ascii: ",")) {
            var scanner = Scanner(line.dropFirst(comma + 1))
            if let addresses = scanner.list(), !addresses.isEmpty { return [nil] + addresses }
            end = comma
        }
        return [nil]
    }

    /// `192.0.2.1`, `192.0.2.1:4711`, `[2001:db8::1]`, `[2001:db8::1]:_port`.
    static func address(ofNode node: ByteView) -> IPAddress? {
        var name = node
        var port: ByteView?
        if node.count > 0, node[0] == UInt8(ascii: "[") {
            guard let close = node.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            name = node.slice(1, close)
            let rest = node.dropFirst(close + 1)
            if !rest.isEmpty {
                guard rest[0] == UInt8(ascii: ":") else { return nil }
                port = rest.dropFirst(1)
            }
            guard let address = IPAddress(name), name.firstIndex(of: UInt8(ascii: ":")) != nil else { return nil }
            return port.map(isPort) == false ? nil : address
        }
        if let colon = node.firstIndex(of: UInt8(ascii: ":")) {
            name = node.slice(0, colon)
            port = node.dropFirst(colon + 1)
        }
        return port.map(isPort) == false ? nil : IPAddress(name)
    }

    /// One to five digits, or a name that hides them.
    private static func isPort(_ text: ByteView) -> Bool {
        guard text.count > 0 else { return false }
        if text[0] == UInt8(ascii: "_") {
            return text.count > 1
                && text.buffer.allSatisfy { isLetter($0) || isDigit($0) || $0 == 0x2E || $0 == 0x5F || $0 == 0x2D }
        }
        return text.count <= 5 && text.buffer.allSatisfy(isDigit)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }

    /// The grammar of RFC 7239, section 4, with white space allowed around semicolons, which some proxies write.
    private struct Scanner {
        private let text: ByteView
        private var at = 0

        init(_ text: ByteView) { self.text = text }

        /// Elements separated by commas; empty ones count for nothing (RFC 9110, section 5.6.1). nil when malformed.
        mutating func list() -> [IPAddress?]? {
            var addresses: [IPAddress?] = []
            while true {
                skipSpace()
                if at == text.count { return addresses }
                if text[at] == UInt8(ascii: ",") {
                    at += 1
                    continue
                }
                guard let element = element() else { return nil }
                addresses.append(element)
                if at < text.count { at += 1 }
            }
        }

        /// Pairs separated by semicolons, up to a comma or the end.
        private mutating func element() -> IPAddress?? {
            var address: IPAddress?
            var hasFor = false
            while true {
                skipSpace()
                if at == text.count || text[at] == UInt8(ascii: ",") { return .some(address) }
                if text[at] == UInt8(ascii: ";") {
                    at += 1
                    continue
                }
                guard let name = token(), at < text.count, text[at] == UInt8(ascii: "=") else { return nil }
                at += 1
                guard let value = value() else { return nil }
                if name.equalsIgnoringCase("for") {
                    if hasFor { return nil }
                    hasFor = true
                    address = value.withByteView { ForwardedField.address(ofNode: $0) }
                }
                skipSpace()
                guard at == text.count || text[at] == UInt8(ascii: ";") || text[at] == UInt8(ascii: ",") else {
                    return nil
                }
            }
        }

        private mutating func value() -> [UInt8]? {
            guard at < text.count, text[at] == UInt8(ascii: "\"") else { return token()?.array }
            at += 1
            var value: [UInt8] = []
            while at < text.count {
                var byte = text[at]
                at += 1
                if byte == UInt8(ascii: "\"") { return value }
                if byte == UInt8(ascii: "\\") {
                    guard at < text.count else { return nil }
                    byte = text[at]
                    at += 1
                }
                value.append(byte)
            }
            return nil
        }

        private mutating func token() -> ByteView? {
            let start = at
            while at < text.count, Scanner.isOfToken(text[at]) { at += 1 }
            return at > start ? text.slice(start, at) : nil
        }

        private mutating func skipSpace() {
            while at < text.count, text[at] == 0x20 || text[at] == 0x09 { at += 1 }
        }

        private static func isOfToken(_ byte: UInt8) -> Bool {
            if isLetter(byte) || isDigit(byte) { return true }
            let marks: StaticString = "!#$%&'*+-.^_`|~"
            return ByteView(marks).firstIndex(of: byte) != nil
        }
    }
}
