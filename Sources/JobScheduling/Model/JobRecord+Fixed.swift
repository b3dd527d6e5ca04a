import Services

extension JobRecord {
    /// What an edit cannot change, since others rely on it. Sent back as it was got, or left out, it stays as it is.
    private static let fixed = [
        (member: "dependencies", fields: ["after"]), (member: "unique", fields: ["unique", "uniqueMs"]),
        (member: "conflict", fields: ["conflict"]),
    ]

    /// Refuses an edit that would change what is fixed.
    func checkFixed(_ draft: JobDraft) throws(Problem) {
        let list = draft.fields()
        var wanted: [String: String] = [:]
        for i in stride(from: 0, to: list.count, by: 2) { wanted[list[i]] = list[i + 1] }
        for (member, names) in JobRecord.fixed {
            guard let first = names.first, wanted[first] != nil else { continue }
            if names.contains(where: { wanted[$0] != fields[$0] }) {
                throw .impossible(member, "cannot be changed; make another job, and delete or cancel this one")
            }
        }
    }
}
