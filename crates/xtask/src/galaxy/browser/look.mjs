// Looks at a running Galaxy as a person would, in Chromium: a picture of each page, and the config form of the convolutional
// tutorial filled in by hand.
//
//   node look.mjs task.json
//
// task.json: {"url", "chromium", "modules" (where playwright-core is), "out" (directory),
//   "pages": [{"path", "history" (id, or null), "picture"}], "form": {"history", "input_shape", "layers": [{field: text}], "picture"}}
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const task = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { chromium } = createRequire(join(task.modules, "package.json"))("playwright-core");

// Without these, Chromium asks its maker's servers for this and that at every start.
const quiet = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const patience = 60_000;

const browser = await chromium.launch({ executablePath: task.chromium, args: quiet });
const context = await browser.newContext({ viewport: { width: 1400, height: 1800 } });
context.setDefaultTimeout(patience);
const page = await context.newPage();

async function open(path, history) {
  if (history) {
    const answer = await context.request.get(`${task.url}/history/set_as_current?id=${history}`);
    if (!answer.ok()) throw new Error(`history ${history}: ${answer.status()}`);
  }
  await page.goto(task.url + path, { waitUntil: "domcontentloaded" });
  await page.locator("#current-history-panel, .history-index").first().waitFor();
}

// A page is there when nothing turns any more.
async function settled() {
  await page.waitForFunction(() => !document.querySelector(".fa-spin, .loading-spinner, .b-skeleton"), null, { timeout: patience });
  await page.waitForTimeout(1500);
}

async function picture(name) {
  await page.screenshot({ path: join(task.out, name) });
  console.log(`picture: ${name}`);
}

function field(name) {
  return page.locator(`[id="form-element-${name}"]`);
}

// Clicks the choice open, types what a person reads, takes the option with that very text.
async function choose(name, label) {
  const choice = field(name).locator(".multiselect").first();
  await choice.click();
  await choice.locator("input").fill(label);
  await choice.locator(".multiselect__option").getByText(label, { exact: true }).first().click();
}

async function type(name, text) {
  await field(name).locator("input, textarea").first().fill(text);
}

async function fillInLayers(form) {
  await type("model_selection|input_shape", form.input_shape);
  for (const [number, layer] of form.layers.entries()) {
    const at = (name) => `model_selection|layers_${number}|layer_selection|${name}`;
    if (number > 0) {
      await page.locator('[data-description="repeat insert"]').first().click();
    }
    await field(at("layer_type")).waitFor();
    for (const [name, text] of Object.entries(layer)) {
      if (name === "layer_type" || name === "activation" || name === "data_format") {
        await choose(at(name), text);
      } else {
        await field(at(name)).waitFor();
        await type(at(name), text);
      }
    }
  }
}

// Presses the button and waits for Galaxy's word that the job is on its way.
async function run() {
  const answer = page.waitForResponse((response) => response.request().method() === "POST" && /\/api\/(tools|jobs)$/.test(response.url()));
  await page.locator("#execute").first().click();
  const response = await answer;
  if (!response.ok()) throw new Error(`the form is refused: ${await response.text()}`);
}

for (const { path, history, picture: name } of task.pages) {
  await open(path, history);
  await settled();
  await picture(name);
}
await open("/?tool_id=keras_model_config", task.form.history);
await settled();
await fillInLayers(task.form);
await settled();
await picture(task.form.picture);
await run();
await settled();
await browser.close();
