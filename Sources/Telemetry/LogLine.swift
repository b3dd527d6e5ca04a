import Bytes

/// How lines of the log are written.
public enum LogFormat: String, Sendable {
    /// One JSON object per line: `time`, `level`, `message`, then the fields.
    case json
    /// For a terminal: `2026-11-22T23:05:00.123Z info redis connected address=… attempt=3`.
    case text
}

/// Writes one line of the log. Pure: the time comes with the call.
enum LogLine {
    /// Longer texts are cut here, so that no client can make the log grow by a large value.
    static let maxTextBytes = 1024

    static func append(
        to buffer: ByteBuffer, _ format: LogFormat, _ level: LogLevel, _ message: StaticString,
        _ context: LogFields, _ fields: LogFields, nowUs: Int64
    ) {
        switch format {
        case .json:
            buffer.append("{\"time\":\"")
            Timestamp(us: nowUs).appendRFC3339(to: buffer)
            buffer.append("\",\"level\":\"")
            buffer.append(level.rawValue)
            buffer.append("\",\"message\":\"")
            appendEscaped(ByteView(message), to: buffer)
            buffer.append("\"")
            for item in context.items + fields.items {
                buffer.append(",\"")
                appendEscaped(ByteView(item.name), to: buffer)
                buffer.append("\":")
                append(item.value, alwaysQuoted: true, to: buffer)
            }
            buffer.append("}\n")
        case .text:
            Timestamp(us: nowUs).appendRFC3339(to: buffer)
            buffer.append(" ")
            buffer.append(level.rawValue)
            buffer.append(" ")
            appendEscaped(ByteView(message), to: buffer)
            for item in context.items + fields.items {
                buffer.append(" ")
                appendEscaped(ByteView(item.name), to: buffer)
                buffer.append("=")
                append(item.value, alwaysQuoted: false, to: buffer)
            }
            buffer.append("\n")
        }
    }

    private static func append(_ value: LogValue, alwaysQuoted: Bool, to buffer: ByteBuffer) {
        switch value {
        case .int(let number): buffer.append(decimal: number)
        case .bool(let flag): buffer.append(flag ? "true" : "false" as StaticString)
        case .double(let number) where number.isFinite: buffer.append(number.description)
        case .double(let number): append(.string(number.description), alwaysQuoted: alwaysQuoted, to: buffer)
        case .string(let text):
            text.withByteView { bytes in
                let isPlain = !alwaysQuoted && !bytes.isEmpty && bytes.buffer.allSatisfy(isPlainInText)
                if !isPlain { buffer.append("\"") }
                appendEscaped(bytes, to: buffer)
                if !isPlain { buffer.append("\"") }
            }
        }
    }

    private static func isPlainInText(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7F && byte != 0x22 && byte != 0x5C && byte != 0x3D
    }

    /// Appends UTF-8 as the inside of a JSON string. Everything that a terminal or a log reader might take for more
    /// than text is escaped: C0 and C1 controls, DEL, the line and paragraph separators, what turns the direction of text
    /// around, and the byte order mark.
    private static func appendEscaped(_ text: ByteView, to buffer: ByteBuffer) {
        var i = 0
        while i < text.count {
            if i >= maxTextBytes, text[i] & 0xC0 != 0x80 {
                buffer.append("…")
                return
            }
            let byte = text[i]
            switch byte {
            case 0x22: buffer.append("\\\"")
            case 0x5C: buffer.append("\\\\")
            case 0x0A: buffer.append("\\n")
            case 0x0D: buffer.append("\\r")
            case 0x09: buffer.append("\\t")
            case 0..<0x20, 0x7F: appendCode(Int(byte), to: buffer)
            case 0xC2 where i + 1 < text.count && text[i + 1] < 0xA0:
                appendCode(Int(text[i + 1]), to: buffer)
                i += 1
            case 0xE2
            where i + 2 < text.count && isObeyed(0x2000 | Int(text[i + 1] & 0x3F) << 6 | Int(text[i + 2] & 0x3F)):
                appendCode(0x2000 | Int(text[i + 1] & 0x3F) << 6 | Int(text[i + 2] & 0x3F), to: buffer)
                i += 2
            case 0xEF where i + 2 < text.count && text[i + 1] == 0xBB && text[i + 2] == 0xBF:
                appendCode(0xFEFF, to: buffer)
                i += 2
            default: buffer.append(byte)
            }
            i += 1
        }
    }

    /// Of the codes from U+2000 on: line and paragraph separators, and what embeds, overrides or isolates a direction.
    private static func isObeyed(_ code: Int) -> Bool {
        switch code {
        case 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }

    private static func appendCode(_ code: Int, to buffer: ByteBuffer) {
        buffer.append("\\u")
        let pair = [UInt8(code >> 8), UInt8(code & 0xFF)]
        pair.withByteView { buffer.append(hex: $0) }
    }
}
