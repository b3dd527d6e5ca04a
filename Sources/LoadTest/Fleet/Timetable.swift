/// What is done to the fleet, and when.
struct Timetable: Equatable {
    struct Entry: Equatable {
        /// From the start of the measurement.
        let atUs: Int64
        /// A verb of deploy/fleet and what it takes: `["reshard", "0-100", "redis-2"]`.
        let words: [String]

        var text: String { words.joined(separator: " ") }

        /// Whether what Redis has not written down, or not passed on, may be gone afterwards.
        var mayLose: Bool {
            ["kill", "pause", "stop", "restart"].contains(words[0]) && words[1].hasPrefix("redis")
        }
    }

    let entries: [Entry]

    var mayLose: Bool { entries.contains { $0.mayLose } }

    static let none = Timetable(entries: [])

    private static let verbs = ["kill": 1, "pause": 1, "resume": 1, "stop": 1, "start": 1, "restart": 1, "reshard": 2]

    /// Reads `5s kill server-1; 8.5s start server-1; 20s reshard 0-100 redis-2`, in any order.
    static func parse(_ text: String) throws(UsageError) -> Timetable {
        var entries: [Entry] = []
        for part in text.split(separator: ";") {
            let words = part.split(separator: " ").map(String.init)
            if words.isEmpty { continue }
            guard words[0].hasSuffix("s"), let seconds = Double(words[0].dropLast()), (0...86_400).contains(seconds)
            else { throw UsageError(description: "--faults: \(words[0]) is no time such as 5s or 12.5s") }
            guard words.count > 1, let operands = verbs[words[1]] else {
                let known = verbs.keys.sorted().joined(separator: ", ")
                throw UsageError(description: "--faults: \(part) has none of the verbs \(known)")
            }
            guard words.count == 2 + operands, words.dropFirst(2).allSatisfy(isName) else {
                throw UsageError(description: "--faults: it is TIME \(words[1]) with \(operands) names, not \(part)")
            }
            entries.append(Entry(atUs: Int64(seconds * 1_000_000), words: Array(words.dropFirst())))
        }
        return Timetable(entries: entries.sorted { $0.atUs < $1.atUs })
    }

    /// Names become arguments of a program: none may look like an option or a path.
    private static func isName(_ word: String) -> Bool {
        word.utf8.first != 0x2D && word.utf8.allSatisfy(isOfName)
    }

    static func isOfName(_ byte: UInt8) -> Bool {
        (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x2D
    }
}
