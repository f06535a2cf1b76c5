// SPDX-License-Identifier: GPL-2.0-only
// Runs the live page's script without a browser: node live_page.js URL ROWS. Prints "looking" when it
// has its first answer, then its table when that has so many rows: the texts of their cells, in JSON.
"use strict";

class Element {
	constructor() {
		this.children = [];
		this.text = this.value = "";
		this.hidden = false;
	}
	set textContent(text) {
		this.text = text;
	}
	get textContent() {
		return this.text + this.children.map(child => child.textContent).join("");
	}
	set innerHTML(text) {
		throw new Error("text as HTML");
	}
	append(child) {
		this.children.push(child);
	}
	prepend(child) {
		this.children.unshift(child);
	}
	get childElementCount() {
		return this.children.length;
	}
	addEventListener() {}
}

async function main(url, count) {
	const elements = { rows: new Element(), note: new Element(), wanted: new Element() };
	const document = {
		getElementById: id => elements[id],
		createElement: () => new Element(),
	};
	const script = await (await fetch(url + "page.js")).text();
	let looking = false;
	new Function("document", "fetch", script)(document, async path => {
		const answer = await fetch(url + path);
		if (!looking)
			console.log("looking");
		looking = true;
		return answer;
	});
	const timer = setInterval(() => {
		if (elements.note.text)
			throw new Error(elements.note.text);
		if (elements.rows.childElementCount < count)
			return;
		clearInterval(timer);
		const table = elements.rows.children.map(row => row.children.map(cell => cell.text));
		process.stdout.write(JSON.stringify(table), () => process.exit(0));
	}, 20);
}

main(process.argv[2], Number(process.argv[3]));
