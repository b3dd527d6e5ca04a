import Testing

/// Every script begins with its contract (lua/README.md).
struct LuaTests {
    private static let parts = ["KEYS", "ARGV", "RETURNS", "EFFECTS", "COST"]

    @Test func scriptsBeginWithTheirContract() throws {
        for file in try Tree().files("lua", "lua") {
            #expect(LuaTests.missing(file.text) == [], "\(file.path) lacks a part of its header")
        }
    }

    @Test func everyScriptIsEmbeddedOnce() throws {
        let manifest = try Tree().file("Package.swift").text
        for file in try Tree().files("lua", "lua") {
            let name = file.folders.last!.dropLast(".lua".count)
            #expect(manifest.ranges(of: "\"\(name)\"").count == 1, "\(file.path) in Package.swift")
        }
    }

    /// What a script's first comment must have: a sentence, then each part in order. A file that is joined with another
    /// one has no keys of its own, and says that it is joined.
    @Test func theHeaderIsReadAsItIsMeant() {
        let whole = """
            #!lua flags=no-writes
            -- Reads.
            -- KEYS    1 hash
            --         2 string
            -- ARGV    none
            -- RETURNS a number
            -- EFFECTS none
            -- COST    O(1)
            local x = 1
            """
        #expect(LuaTests.missing(whole) == [])
        #expect(LuaTests.missing("-- Counts. Joined with check_one.lua.\nlocal x = 1") == [])
        #expect(LuaTests.missing("-- Counts.\nlocal x = 1") == LuaTests.parts)
        #expect(LuaTests.missing("local x = 1\n" + whole) == ["a sentence"])
        #expect(LuaTests.missing("-- KEYS 1\n-- ARGV 1\n-- RETURNS 1\n-- EFFECTS 1\n-- COST 1") == ["a sentence"])
        #expect(LuaTests.missing(whole.replacing("-- COST    O(1)\nlocal", with: "local")) == ["COST"])
        let swapped = whole.replacing("ARGV ", with: "COST ").replacing("COST    O(1)", with: "ARGV    1")
        #expect(!LuaTests.missing(swapped).isEmpty)
    }

    private static func missing(_ text: String) -> [String] {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        if lines.first?.hasPrefix("#!") == true { lines.removeFirst() }
        let header = lines.prefix { $0.hasPrefix("--") }.map { $0.dropFirst(2).drop { $0 == " " } }
        guard let first = header.first, !first.isEmpty, !parts.contains(where: { first.hasPrefix($0) }) else {
            return ["a sentence"]
        }
        if header.contains(where: { $0.lowercased().contains("joined") }) { return [] }
        var rest = header[...]
        var missing: [String] = []
        for part in parts {
            guard let at = rest.firstIndex(where: { $0.hasPrefix(part) && $0.count > part.count }) else {
                missing.append(part)
                continue
            }
            rest = rest[(at + 1)...]
        }
        return missing
    }
}
