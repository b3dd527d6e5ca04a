import Glibc

/// One case of the corpus; Corpus/README.md has the notation.
struct CorpusCase: Sendable, CustomStringConvertible {
    var name: String
    var statuses: [Int]
    var closes: Bool
    var bytes: [UInt8]
    var description: String { name }

    static let all: [CorpusCase] = ["accepted", "request-line", "fields", "framing", "chunks"].flatMap(load)

    private static func load(_ file: String) -> [CorpusCase] {
        let folder = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(
            separator: "/")
        var cases: [CorpusCase] = []
        for block in text("\(folder)/Corpus/\(file).txt").split(separator: "== ").map({ $0.split(separator: "\n") }) {
            let words = block[1].split(separator: " ")
            cases.append(
                CorpusCase(
                    name: "\(file): \(block[0])", statuses: words.compactMap { Int($0) }, closes: words.last == "close",
                    bytes: unescape(block.dropFirst(2).joined())))
        }
        return cases
    }

    private static func text(_ path: String) -> String {
        guard let file = fopen(path, "r") else { fatalError("\(path) is missing") }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        return String(decoding: bytes[..<fread(&bytes, 1, bytes.count, file)], as: UTF8.self)
    }

    private static func unescape(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        var times = 1
        while let byte = rest.popFirst() {
            var value = byte
            if byte == UInt8(ascii: "\\") {
                switch rest.removeFirst() {
                case UInt8(ascii: "r"): value = 13
                case UInt8(ascii: "n"): value = 10
                case UInt8(ascii: "t"): value = 9
                case UInt8(ascii: "x"):
                    value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)!
                    rest.removeFirst(2)
                case UInt8(ascii: "{"):
                    let digits = rest.prefix { $0 != UInt8(ascii: "}") }
                    times = Int(String(decoding: digits, as: UTF8.self))!
                    rest.removeFirst(digits.count + 1)
                    continue
                default: value = UInt8(ascii: "\\")
                }
            }
            bytes.append(contentsOf: repeatElement(value, count: times))
            times = 1
        }
        return bytes
    }
}
