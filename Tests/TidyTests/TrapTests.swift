import Foundation
import Testing

/// A trap ends the process, and all that others have under way in it. So code that handles requests has none that a request
/// could reach.
struct TrapTests {
    /// Folders of a target that hold such code; of `HTTP` and `JSON` all of it is.
    private static let folders: Set<String> = [
        "Access", "Cron", "Endpoints", "Identity", "Matching", "Model", "Replies", "Requests", "Tables",
    ]

    /// At most so many in a file, each out of any request's reach, and why.
    private static let known: [String: (count: Int, reason: String)] = [
        "Sources/HTTP/Client/HTTPClient.swift": (1, "the client's own caller gives the fields"),
        "Sources/HTTP/Exchange/Status.swift": (1, "statuses are constants of ours"),
        "Sources/HTTP/Parsing/RequestParser.swift": (1, "a limit given when the server is made"),
        "Sources/HTTP/Routing/RouteTree.swift": (3, "patterns given when the server is made"),
        "Sources/HTTP/Server/HTTPConnection.swift": (1, "the watcher is set in init"),
        "Sources/Inventory/Tables/TableReader.swift": (1, "the reader is set in init for this format"),
        "Sources/JSON/JSONReader.swift": (1, "a depth that callers write as a constant"),
        "Sources/JobScheduling/Endpoints/JobLists.swift": (2, "each behind its own look at nil"),
        "Sources/JobScheduling/Model/JobDraft.swift": (1, "names are resolved before"),
        "Sources/JobScheduling/Model/JobGraph.swift": (1, "the target is on the path"),
        "Sources/JobScheduling/Model/TypeSettings.swift": (2, "behind its own look at nil"),
        "Sources/RateLimiting/Model/Decision.swift": (1, "an index above 0 has a rest"),
        "Sources/RateLimiting/Model/RuleParser.swift": (1, "behind its own look at nil"),
        "Sources/RateLimiting/Replies/DecisionHeaders.swift": (1, "headlines are rules with a strategy"),
        "Sources/RateLimiting/Replies/DecisionJSON.swift": (1, "these are rules with a strategy"),
        "Sources/RateLimiting/Replies/DecisionReply.swift": (1, "a headline is one of the policies"),
        "Sources/Services/Identity/TokenDigest.swift": (2, "digits are looked at before"),
    ]

    @Test func requestsReachNoTraps() throws {
        let words = ["preconditionFailure(", "fatalError(", "precondition(", "try! ", "as! "]
        for file in try Tree().files("Sources", "swift") where TrapTests.handlesRequests(file) {
            var found: [String] = []
            for (number, line) in file.lines.enumerated() {
                let code = TrapTests.code(String(line))
                let count = words.reduce(TrapTests.unwraps(code)) { $0 + (code.contains($1) ? 1 : 0) }
                for _ in 0..<count { found.append("\(file.path):\(number + 1)") }
            }
            let known = TrapTests.known[file.path]
            #expect(
                found.count <= known?.count ?? 0,
                "\(found) trap; known are \(known?.count ?? 0)\(known.map { ": " + $0.reason } ?? "")")
        }
    }

    @Test func whatTrapsIsSeen() {
        for line in ["a = b!", "f(x[0]!.y)", "let c = d()! + 1", "#expect(x!)", "e = \"text\" + f!", "case a: b!.c"] {
            #expect(TrapTests.unwraps(TrapTests.code(line)) == 1, "\(line)")
        }
        for line in [
            "if !a { b() }", "a != b", "\"a!\" + b", "// a!", "p.baseAddress!", "x = a ! = b", ##"let s = #"c!"#"##,
        ] {
            #expect(TrapTests.unwraps(TrapTests.code(line)) == 0, "\(line)")
        }
    }

    private static func handlesRequests(_ file: Tree.File) -> Bool {
        let parts = file.folders
        return ["HTTP", "JSON"].contains(parts[1]) || (parts.count > 3 && folders.contains(parts[2]))
    }

    /// How many values a line unwraps by force. The start of memory that is there counts for nothing.
    private static func unwraps(_ code: String) -> Int {
        let bytes = Array(code.replacingOccurrences(of: "baseAddress!", with: "baseAddress").utf8)
        return bytes.indices.dropFirst().count { at in
            guard bytes[at] == UInt8(ascii: "!"), at + 1 == bytes.count || bytes[at + 1] != UInt8(ascii: "=") else {
                return false
            }
            let before = bytes[at - 1]
            return before == UInt8(ascii: ")") || before == UInt8(ascii: "]") || before == UInt8(ascii: "}")
                || before == UInt8(ascii: "_") || (before >= 0x30 && before <= 0x39)
                || (0x61...0x7A).contains(before | 0x20)
        }
    }

    /// A line without its comment and the insides of its texts.
    private static func code(_ line: String) -> String {
        var code = ""
        var isText = false
        var isEscaped = false
        for character in line {
            if isEscaped {
                isEscaped = false
            } else if isText {
                if character == "\\" { isEscaped = true } else if character == "\"" { isText = false }
            } else if character == "\"" {
                isText = true
            } else {
                code.append(character)
                if code.hasSuffix("//") { return String(code.dropLast(2)) }
            }
        }
        return code
    }
}
