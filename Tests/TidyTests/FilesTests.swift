import Testing

/// The shape of the tree and of its files.
struct FilesTests {
    @Test func theTopLevelIsTheAgreedOne() throws {
        let agreed: Set<String> = ["Package.swift", "Sources", "Tests", "lua", "deploy", "README.md", "LICENSE"]
        let others = try Tree().topLevel().filter { !agreed.contains($0) && !$0.hasPrefix(".") }
        #expect(others.sorted() == [])
    }

    @Test func filesAreShort() throws {
        let files = try Tree().swift()
        for file in files { #expect(file.lineCount <= 400, "\(file.path) has \(file.lineCount) lines") }
        let short = files.count { $0.lineCount < 250 }
        #expect(short * 10 >= files.count * 9, "\(short) of \(files.count) files are below 250 lines")
    }

    @Test func filesEndInOneLineEnd() throws {
        for file in try Tree().swift() + Tree().files("lua", "lua") {
            #expect(file.text.hasSuffix("\n") && !file.text.hasSuffix("\n\n"), "\(file.path)")
            #expect(!file.text.contains("\t") && !file.text.contains("\r"), "\(file.path)")
        }
    }

    /// What the compiler cannot check stands only where threads and C libraries are met.
    @Test func uncheckedConcurrencyStaysOnTheLowFloors() throws {
        let allowed: Set<String> = ["EventLoops", "Redis", "HTTP", "Webhooks"]
        for file in try Tree().files("Sources", "swift") where !allowed.contains(file.folders[1]) {
            for word in ["@unchecked Sendable", "nonisolated(unsafe)", "@preconcurrency"] {
                #expect(!file.text.contains(word), "\(file.path) has \(word)")
            }
        }
    }

    /// Traps without a condition, each with its reason.
    @Test func trapsAreTheKnownOnes() throws {
        let known = [
            // Memory that cannot be had.
            "Sources/Telemetry/Histogram.swift": 1
        ]
        for file in try Tree().files("Sources", "swift") {
            let count = file.text.components("fatalError(")
            #expect(count == known[file.path, default: 0], "\(file.path)")
        }
    }

    /// Standard output belongs to the command line, which writes whole lines by itself.
    @Test func nobodyPrints() throws {
        for file in try Tree().files("Sources", "swift") {
            for (i, line) in file.lines.enumerated() {
                for word in ["print(", "dump(", "NSLog("] {
                    let isCall = calls(line, word)
                    #expect(!isCall, "\(file.path):\(i + 1)")
                }
            }
        }
    }

    @Test func nothingIsLeftForLater() throws {
        // Put together here, so that this file does not find itself.
        let words = ["TO" + "DO", "FIX" + "ME", "XX" + "X:", "not imple" + "mented"]
        for file in try Tree().swift() + Tree().files("lua", "lua") {
            for word in words { #expect(!file.text.contains(word), "\(file.path) has \(word)") }
        }
    }

    /// Whether `line` has `word` as a call of its own name, not as the end of a longer one.
    private func calls(_ line: Substring, _ word: String) -> Bool {
        var rest = line
        while let range = rest.firstRange(of: word) {
            let before = rest[..<range.lowerBound].last
            if before.map({ !$0.isLetter && !$0.isNumber && $0 != "_" && $0 != "." }) ?? true { return true }
            rest = rest[range.upperBound...]
        }
        return false
    }
}

extension String {
    fileprivate func components(_ word: String) -> Int { ranges(of: word).count }
}
