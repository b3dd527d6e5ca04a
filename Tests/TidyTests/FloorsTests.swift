import Testing

/// Imports point down the floors of the house only.
struct FloorsTests {
    /// From the ground up. Targets of one floor never import each other.
    private static let floors: [[String]] = [
        ["Bytes"], ["Telemetry"], ["JSON", "Digests", "EventLoops", "TimeZones"], ["Redis", "HTTP", "Webhooks"],
        ["Services"],
        ["RateLimiting", "JobScheduling", "Inventory"], ["Application"], ["Quartermaster", "LoadTest"],
    ]

    /// Who alone may import what is not ours.
    private static let importers: [String: Set<String>] = [
        "CLibevent": ["EventLoops"], "CLinux": ["EventLoops"], "CHiredis": ["Redis"], "CSodium": ["Digests"],
        "CCurl": ["Webhooks"],
        "Foundation": ["TimeZones"],
    ]

    /// The platform's modules that anybody may import.
    private static let platform: Set<String> = ["Glibc", "Synchronization"]

    @Test func everyTargetHasItsFloor() throws {
        let known = Set(FloorsTests.floors.joined()).union(FloorsTests.importers.keys)
        let targets = Set(try Tree().files("Sources", "swift").map { $0.folders[1] }.filter { $0 != "README.md" })
        #expect(targets.subtracting(known) == [])
    }

    @Test func importsPointDown() throws {
        var floor: [String: Int] = [:]
        for (i, targets) in FloorsTests.floors.enumerated() { for target in targets { floor[target] = i } }
        for file in try Tree().files("Sources", "swift") {
            let target = file.folders[1]
            for module in imports(file) where module != target {
                if let below = floor[module] {
                    #expect(below < floor[target] ?? -1, "\(file.path) imports \(module)")
                } else if let importers = FloorsTests.importers[module] {
                    #expect(importers.contains(target), "\(file.path) imports \(module)")
                } else {
                    #expect(FloorsTests.platform.contains(module), "\(file.path) imports \(module)")
                }
            }
        }
    }

    /// What the manifest lets a target see is no more than what it imports.
    @Test func theManifestHasNoPackages() throws {
        let manifest = try Tree().file("Package.swift").text
        #expect(!manifest.contains(".package("))
    }

    private func imports(_ file: Tree.File) -> Set<String> {
        var modules: Set<String> = []
        for line in file.lines {
            let words = line.split(separator: " ")
            guard let at = words.firstIndex(of: "import"), words.count > at + 1, !line.hasPrefix("//"),
                words[..<at].allSatisfy({ $0.hasPrefix("@") || ["public", "internal", "package"].contains($0) })
            else { continue }
            // `import struct Glibc.stat` names the module second.
            let kinds = ["struct", "class", "enum", "func", "var", "let", "protocol", "typealias"]
            let name = kinds.contains(String(words[at + 1])) ? words[at + 2] : words[at + 1]
            modules.insert(String(name.prefix { $0 != "." && $0 != ";" }))
        }
        return modules
    }
}
