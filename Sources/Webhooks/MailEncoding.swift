/// How text becomes the seven-bit lines of a message (RFC 2045, 2047).
enum MailEncoding {
    /// Base64 without line ends.
    static func base64(_ bytes: some Collection<UInt8>) -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        var rest = bytes[...]
        while !rest.isEmpty {
            let three = Array(rest.prefix(3))
            rest = rest.dropFirst(3)
            let bits = three.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - three.count))
            for i in 0..<4 { text.append(i <= three.count ? digits[bits >> (18 - 6 * i) & 63] : 0x3D) }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// A body in lines of 76 characters, each with its end.
    static func base64Lines(_ bytes: [UInt8]) -> String {
        var lines = ""
        // 57 bytes are 76 digits.
        for start in stride(from: 0, to: bytes.count, by: 57) {
            lines += base64(bytes[start..<min(start + 57, bytes.count)]) + "\r\n"
        }
        return lines
    }

    /// Text of a header: as it is where it is short and plain, else as encoded words, one a line.
    static func unstructured(_ text: String) -> String { isPlain(text) ? text : encodedWords(text) }

    /// The name beside an address.
    static func phrase(_ text: String) -> String {
        guard isPlain(text) else { return encodedWords(text) }
        return "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }

    /// Lines end as mail wants them, whatever they ended with.
    static func withLineEnds(_ text: String) -> String {
        var lines = ""
        // A carriage return and a line feed are one character.
        for character in text {
            lines += character == "\n" || character == "\r" || character == "\r\n" ? "\r\n" : String(character)
        }
        return lines
    }

    /// Whether it can stand in a header as it is and means itself there.
    private static func isPlain(_ text: String) -> Bool {
        text.utf8.count <= 60 && text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F } && !text.contains("=?")
            && text.first != " " && text.last != " "
    }

    /// At most 45 bytes a word, so that none is longer than 75 characters, and no character is torn apart.
    private static func encodedWords(_ text: String) -> String {
        var words: [String] = []
        var chunk: [UInt8] = []
        for scalar in text.unicodeScalars {
            let bytes = Array(String(scalar).utf8)
            if chunk.count + bytes.count > 45 {
                words.append(base64(chunk))
                chunk = []
            }
            chunk += bytes
        }
        words.append(base64(chunk))
        return words.map { "=?UTF-8?B?\($0)?=" }.joined(separator: "\r\n ")
    }
}
