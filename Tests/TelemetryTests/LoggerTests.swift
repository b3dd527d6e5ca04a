import Bytes
import Glibc
import JSON
import Testing

@testable import Telemetry

struct LoggerTests {
    /// What `body` made a logger write.
    private func written(_ level: LogLevel = .info, _ format: LogFormat = .json, _ body: (Logger) -> Void) -> String {
        var ends: [Int32] = [0, 0]
        pipe(&ends)
        body(Logger(level: level, format: format, descriptor: ends[1]))
        close(ends[1])
        defer { close(ends[0]) }
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = read(ends[0], &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }

    private func line(_ format: LogFormat, _ fields: LogFields) -> String {
        let buffer = ByteBuffer()
        LogLine.append(to: buffer, format, .warning, "it happened", [:], fields, nowUs: 1_700_000_000_123_456)
        return buffer.view.string
    }

    @Test func writesOneJSONObjectPerLine() throws {
        let text = written { log in
            log.with(["service": "jobs"]).info("redis connected", ["address": "unix", "attempt": 3, "ready": true])
        }
        #expect(text.hasSuffix("}\n"))
        let value = try text.withByteView { try JSONValue(parsing: $0) }
        #expect(value["level"] == .string("info"))
        #expect(value["message"] == .string("redis connected"))
        #expect(value["service"] == .string("jobs"))
        #expect(value["address"] == .string("unix"))
        #expect(value["attempt"] == .int(3))
        #expect(value["ready"] == .bool(true))
        guard case .string(let time) = value["time"] else { throw Missing() }
        #expect(time.withByteView { Timestamp(rfc3339: $0) } != nil)
    }

    private struct Missing: Error {}

    @Test func formatsExactly() {
        #expect(
            line(.json, ["x": .double(0.5), "y": .double(.nan)])
                == #"{"time":"2023-11-14T22:13:20.123Z","level":"warning","message":"it happened","x":0.5,"y":"nan"}"#
                + "\n")
        #expect(
            line(.text, ["plain": "a/b:c", "spaced": "a b", "empty": "", "equals": "a=b", "n": 5])
                == #"2023-11-14T22:13:20.123Z warning it happened plain=a/b:c spaced="a b" empty="" equals="a=b" n=5"#
                + "\n")
    }

    @Test func nothingInAValueCanEndALineOrAString() throws {
        let nasty =
            "a\"\\\n\r\t\u{0}\u{1B}[31m\u{7F}\u{85}\u{9F}\u{2028}\u{2029}\u{202A}\u{202E}\u{2066}\u{2069}\u{200F}\u{FEFF}é\u{A0}…b\u{2027}\u{202F}"
        for format in [LogFormat.json, .text] {
            let text = line(format, ["value": .string(nasty)])
            #expect(text.unicodeScalars.filter { $0 == "\n" }.count == 1)
            #expect(
                text.dropLast().unicodeScalars.allSatisfy {
                    $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) && !(0x2028...0x202E).contains($0.value)
                        && !(0x2066...0x2069).contains($0.value) && $0.value != 0x200F && $0.value != 0xFEFF
                })
        }
        let value = try line(.json, ["value": .string(nasty)]).withByteView { try JSONValue(parsing: $0) }
        #expect(value["value"] == .string(nasty))
    }

    @Test func longValuesAreCutBetweenCharacters() throws {
        let value = try line(.json, ["v": .string(String(repeating: "é", count: 4000))])
            .withByteView { try JSONValue(parsing: $0) }
        #expect(value["v"] == .string(String(repeating: "é", count: 512) + "…"))
        let odd = try line(.json, ["v": .string("x" + String(repeating: "é", count: 4000))])
            .withByteView { try JSONValue(parsing: $0) }
        #expect(odd["v"] == .string("x" + String(repeating: "é", count: 512) + "…"))
    }

    @Test func linesBelowTheLevelAreNotEvenBuilt() {
        var built = 0
        func field() -> LogValue {
            built += 1
            return 1
        }
        let text = written(.warning) { log in
            log.debug("a", ["x": field()])
            log.info("b", ["x": field()])
            log.warning("c", ["x": field()])
            log.error("d")
        }
        #expect(built == 1)
        #expect(text.split(separator: "\n").count == 2)
    }

    @Test func aClosedDescriptorIsNotFatal() {
        Logger(descriptor: -1).error("nobody hears this")
    }
}
